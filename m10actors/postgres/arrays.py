"""Arrays as parameters, in PostgreSQL's binary form: psycopg's own way through a list asks Python about each element,
which for a batch costs more than the statement.

https://www.postgresql.org/docs/current/arrays.html and src/backend/utils/adt/arrayfuncs.c (array_recv)
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

import psycopg
from psycopg.adapt import Buffer, Dumper
from psycopg.pq import Format

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Array(Generic[T]):
    """Values of one type, none of them an array."""

    values: Sequence[T]


class Bigints(Array[int]):
    """bigint[]"""


class Ints(Array[int]):
    """int[]"""


class Reals(Array[float]):
    """real[]"""


class Booleans(Array[bool]):
    """boolean[]"""


class Texts(Array[str | bytes | None]):
    """text[]; bytes are UTF-8."""


class _Binary(Dumper):
    format = Format.BINARY
    element: ClassVar[int]


class _Fixed(_Binary):
    """`code` and `size` of an element as `struct` has them."""

    code: ClassVar[str]
    size: ClassVar[int]

    def dump(self, obj: Any) -> Buffer:
        values = obj.values
        each: list[Any] = [self.size] * (2 * len(values))
        each[1::2] = values
        return _header(self.element, len(values)) + struct.pack("!" + f"i{self.code}" * len(values), *each)


class _Bigints(_Fixed):
    oid, element, code, size = 1016, 20, "q", 8


class _Ints(_Fixed):
    oid, element, code, size = 1007, 23, "i", 4


class _Reals(_Fixed):
    oid, element, code, size = 1021, 700, "f", 4


class _Booleans(_Fixed):
    oid, element, code, size = 1000, 16, "?", 1


class _Texts(_Binary):
    oid, element = 1009, 25

    def dump(self, obj: Any) -> Buffer:
        parts = [_header(self.element, len(obj.values), has_nulls=None in obj.values)]
        for value in obj.values:
            if value is None:
                parts.append(_NULL)
            else:
                text = value.encode() if isinstance(value, str) else value
                parts += (_length(len(text)), text)
        return b"".join(parts)


_length = struct.Struct("!i").pack
_NULL = _length(-1)


def _header(element: int, count: int, *, has_nulls: bool = False) -> bytes:
    return struct.pack("!5i", 1, has_nulls, element, count, 1) if count else struct.pack("!3i", 0, 0, element)


for _array, _dumper in ((Bigints, _Bigints), (Ints, _Ints), (Reals, _Reals), (Booleans, _Booleans), (Texts, _Texts)):
    psycopg.adapters.register_dumper(_array, _dumper)
