"""JSON lines from outside → failures: each line read, keyed and checked on its own, in batches, however long the input.

A line that is no failure spoils only itself: it comes out as `Rejected`, with everything that is wrong with it.
"""

import codecs
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO, Protocol, TypeAlias
from uuid import UUID, uuid4

from m10actors.recovery.decoding import MAX_BATCH_ITEMS, MAX_BODY_BYTES, decode
from m10actors.recovery.failure import Failure, parse
from m10actors.recovery.problems import Code, InvalidFailure, Problem

MAX_LINE_BYTES = MAX_BODY_BYTES
_MOST_READ = MAX_LINE_BYTES + len(b"\r\n")
MAX_BATCH_BYTES = 4 * 1024 * 1024
"""Bytes of lines from which a batch is full: half of what the API takes, since JSON can grow when written again."""


class Keys(Protocol):
    """Gives each line in turn its idempotency key; `recovery.file_keys.FileKeys` is one."""

    def next_key(self, line: bytes) -> UUID: ...


class OneTimeKeys:
    """Keys for input that cannot be told from other input: our own retries count nothing twice, a second run does."""

    def next_key(self, _line: bytes) -> UUID:
        return uuid4()


@dataclass(frozen=True, slots=True)
class Reported:
    """A line that is a failure: `item` as the API takes it, with its source and key, and the same as a value."""

    number: int
    raw: bytes
    item: Mapping[str, object]
    failure: Failure


@dataclass(frozen=True, slots=True)
class Rejected:
    """A line that is none, and why. `raw` holds its first MAX_LINE_BYTES bytes, `size` tells how many it has."""

    number: int
    raw: bytes
    size: int
    problems: tuple[Problem, ...]


Line: TypeAlias = Reported | Rejected


def read(stream: BinaryIO, *, source: str, keys: Keys, key_field: str | None = None) -> Iterator[Line]:
    """Each line of `stream`, numbered from 1.

    The key of a line is the one inside it, else the value at `key_field` (a JSON path with dots, a text or a whole
    number; a line without it is rejected), else what `keys` gives. `source` stands where a line names none.
    """
    for number, (raw, size, identity) in enumerate(_raw_lines(stream), start=1):
        key = str(keys.next_key(identity))  # for a rejected line too: a chain goes over all of them
        try:
            item = _item(raw, size)
            if item.get("idempotency_key") is None:
                item["idempotency_key"] = _value_at(item, key_field) if key_field else key
            if item.get("source") is None:
                item["source"] = source
            yield Reported(number, raw, item, parse(item))
        except InvalidFailure as error:
            yield Rejected(number, raw, size, error.problems)


def batches(
    lines: Iterable[Line], max_items: int = MAX_BATCH_ITEMS, max_bytes: int = MAX_BATCH_BYTES
) -> Iterator[list[Line]]:
    """The lines in their order, in lists of up to `max_items` that are closed once they hold `max_bytes`."""
    batch: list[Line] = []
    held = 0
    for line in lines:
        batch.append(line)
        held += len(line.raw)
        if len(batch) >= max_items or held >= max_bytes:
            yield batch
            batch, held = [], 0
    if batch:
        yield batch


def _raw_lines(stream: BinaryIO) -> Iterator[tuple[bytes, int, bytes]]:
    """Each line without its terminator, its size, and what stands for it in a chain of keys; one is held at a time."""
    first = True
    while raw := stream.readline(_MOST_READ):
        if first:
            raw, first = raw.removeprefix(codecs.BOM_UTF8), False
        if raw.endswith(b"\n") or len(raw) < _MOST_READ:
            content = raw.rstrip(b"\r\n")
            yield content[:MAX_LINE_BYTES], len(content), content
        else:
            yield raw[:MAX_LINE_BYTES], *_rest(stream, raw)


def _rest(stream: BinaryIO, chunk: bytes) -> tuple[int, bytes]:
    """Reads on to the end of a line that is too long: its size and, in place of its bytes, their hash."""
    digest, size = hashlib.sha256(chunk), len(chunk)
    while not chunk.endswith(b"\n") and (chunk := stream.readline(MAX_LINE_BYTES)):
        digest.update(chunk)
        size += len(chunk)
    return size - chunk.endswith(b"\n"), digest.hexdigest().encode()


def _item(raw: bytes, size: int) -> dict[str, object]:
    if size > MAX_LINE_BYTES:
        raise InvalidFailure(Problem(Code.TOO_LARGE, "", f"has {size} bytes, at most {MAX_LINE_BYTES} are taken"))
    item = decode(raw, unique_keys=False)
    if not isinstance(item, dict):
        raise InvalidFailure(Problem(Code.OBJECT_EXPECTED, "", "a failure is a JSON object"))
    return item


def _value_at(item: object, path: str) -> str:
    """The key that a line carries in a field of its own."""
    value = item
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    match value:
        case bool():
            pass
        case str() if value.strip():
            return value
        case int():
            return str(value)
    raise InvalidFailure(Problem(Code.MISSING_FIELD, path, "holds no idempotency key: a text or a whole number"))
