"""Bytes as they come → lines, however the bytes are cut, and however long a line is."""

import codecs
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from m10actors.recovery.decoding import MAX_BODY_BYTES

if TYPE_CHECKING:
    from hashlib import _Hash as Hash

MAX_LINE_BYTES = MAX_BODY_BYTES
_MOST_KEPT = MAX_LINE_BYTES + len(b"\r\n")


@dataclass(frozen=True, slots=True)
class RawLine:
    """A line without its terminator.

    `content`: its first MAX_LINE_BYTES bytes. `size`: the bytes of all of it. `length`: the same with its terminator,
    which is how far it moves on in the file. `identity`: what stands for it in a chain of keys, the line itself or, of
    one that is too long, its hash.
    """

    content: bytes
    size: int
    length: int
    identity: bytes


class Splitter:
    """Cuts bytes into lines; of a line that is too long it keeps the beginning and a hash.

    `at_start`: the first byte is the first of a file, where a mark of byte order may stand, which does not count.
    """

    def __init__(self, *, at_start: bool = True) -> None:
        self._at_start = at_start
        self._begin()

    def feed(self, chunk: bytes) -> Iterator[RawLine]:
        """The lines that end in `chunk`."""
        *ended, rest = chunk.split(b"\n")
        for piece in ended:
            self._take(piece + b"\n")
            yield self._line(terminated=True)
        self._take(rest)

    def end(self) -> Iterator[RawLine]:
        """The last line, if it has no terminator."""
        if self._length:
            yield self._line(terminated=False)

    def _begin(self) -> None:
        self._kept = bytearray()
        self._length = 0
        self._digest: Hash | None = None

    def _take(self, piece: bytes) -> None:
        self._length += len(piece)
        if self._digest is None and self._length > _MOST_KEPT:
            self._digest = hashlib.sha256(self._kept)
        if self._digest is not None:
            self._digest.update(piece)
        self._kept += piece[: _MOST_KEPT - len(self._kept)]

    def _line(self, *, terminated: bool) -> RawLine:
        kept, length, digest = bytes(self._kept), self._length, self._digest
        self._begin()
        if self._at_start:
            kept, self._at_start = kept.removeprefix(codecs.BOM_UTF8), False
        if digest is not None:
            return RawLine(kept[:MAX_LINE_BYTES], length - terminated, length, digest.hexdigest().encode())
        content = kept.rstrip(b"\r\n")
        return RawLine(content[:MAX_LINE_BYTES], len(content), length, content)
