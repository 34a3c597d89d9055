"""A growing file: its lines as they come, across rotations and restarts.

Where a file goes on is told by its content: the bytes before the position. So a file that was renamed (`app.log.1`)
and the copy that copytruncate leaves are found again, whatever happened meanwhile.
"""

import hashlib
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from m10actors import logs
from m10actors.lines import Line, LineFormat
from m10actors.raw_lines import RawLine, Splitter
from m10actors.recovery.file_keys import FileKeys

log = logs.logger(__name__)

CHUNK_BYTES = 256 * 1024
_TAIL_BYTES = 256
_ROTATED = r"[.-]\d[\d.:_T-]*"  # what logrotate and its like add to a name


@dataclass(frozen=True, slots=True)
class Position:
    """Up to where a file is dealt with: `tail` is a hash of the bytes before `offset`, `chain` that of the keys.

    `lines`: how many were read since the beginning; `memory`: what they mean for the next one.
    """

    inode: int
    offset: int
    tail: str
    chain: str
    lines: int
    memory: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class _Point:
    offset: int
    chain: bytes
    lines: int
    memory: Mapping[str, object]


class _File:
    """An open file that may be renamed, truncated, or grow."""

    def __init__(self, path: Path) -> None:
        self._handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self.inode = os.fstat(self._handle).st_ino

    def read(self, offset: int) -> bytes:
        return os.pread(self._handle, CHUNK_BYTES, offset)

    def tail(self, offset: int) -> str:
        """A hash of the last bytes before `offset`."""
        start = max(0, offset - _TAIL_BYTES)
        return hashlib.sha256(os.pread(self._handle, offset - start, start)).hexdigest()

    def continues(self, offset: int, tail: str) -> bool:
        return os.fstat(self._handle).st_size >= offset and self.tail(offset) == tail

    def is_at(self, path: Path) -> bool:
        """Whether this is (still) the file of that name; True while there is none of that name."""
        try:
            return os.path.samestat(path.stat(), os.fstat(self._handle))
        except FileNotFoundError:
            return True

    def follows(self, other: "_File") -> bool:
        """Whether this is another file, written to later."""
        return self.inode != other.inode and self.modified_ns > other.modified_ns

    @property
    def modified_ns(self) -> int:
        return os.fstat(self._handle).st_mtime_ns

    def close(self) -> None:
        os.close(self._handle)


class Follower:
    """Reads the file at `path` as it grows, from `position` on or from its beginning. OSError if it cannot be opened.

    `keys` makes the keys of a file that goes on with a chain. A file that was replaced is read to its end and left
    after it has been quiet for `quiet`, since its writer may hold it for a moment longer.
    """

    def __init__(
        self,
        path: Path,
        form: LineFormat,
        keys: Callable[[bytes], FileKeys],
        position: Position | None,
        *,
        quiet: timedelta,
    ) -> None:
        self._path, self._form, self._make_keys, self._quiet = path, form, keys, quiet.total_seconds()
        self._read_at = time.monotonic()
        self._tail = ""
        self._point = self._safe = _Point(0, b"", 0, {})
        self._lines = position.lines if position else 0
        self.is_behind = True
        if position is None:
            self._begin(_File(path))
            return
        form.recall(position.memory)
        file = self._found(position.offset, position.tail, position.inode)
        if file is None:
            if position.offset:
                self._gap(position.offset)
            self._begin(_File(path))
        else:
            self._begin(file, position.offset, bytes.fromhex(position.chain))

    @property
    def position(self) -> Position:
        """Up to where nothing is needed any more once what `step` and `settle` gave has been dealt with."""
        at = self._safe
        return Position(self._file.inode, at.offset, self._file.tail(at.offset), at.chain.hex(), at.lines, at.memory)

    def step(self) -> list[Line]:
        """What is complete after the next piece of the file; `is_behind` tells whether there was one."""
        chunk = self._file.read(self._read_to)
        self.is_behind = bool(chunk)
        if not self._file.continues(self._read_to, self._tail):
            return self._truncated()
        if not chunk:
            return self._at_the_end()
        self._read_at = time.monotonic()
        self._read_to += len(chunk)
        self._tail = self._file.tail(self._read_to)
        return [line for raw in self._splitter.feed(chunk) for line in self._fed(raw)]

    def settle(self) -> list[Line]:
        """What was waiting for more lines. A line without its end still waits."""
        lines = list(self._form.end())
        self._point = self._safe = self._here(self._point.offset)
        return lines

    @property
    def is_quiet(self) -> bool:
        """Whether nothing has come for as long as a failure waits for more lines."""
        return time.monotonic() - self._read_at >= self._quiet

    def close(self) -> None:
        self._file.close()

    def _begin(self, file: _File, offset: int = 0, chain: bytes = b"") -> None:
        self._file = file
        self._keys = self._make_keys(chain)
        self._splitter = Splitter(at_start=offset == 0)
        self._read_to = offset
        self._tail = file.tail(offset)
        self._point = self._safe = self._here(offset)

    def _fed(self, raw: RawLine) -> list[Line]:
        self._lines += 1
        lines = list(self._form.feed(self._lines, raw, self._keys.next_key(raw.identity)))
        before, self._point = self._point, self._here(self._point.offset + raw.length)
        if self._form.open_since is None:
            self._safe = self._point
        elif self._form.open_since == self._lines:
            self._safe = before
        return lines

    def _here(self, offset: int) -> _Point:
        return _Point(offset, self._keys.chain, self._lines, self._form.remember())

    def _at_the_end(self) -> list[Line]:
        """Goes on to the next file if this one was replaced and nobody writes to it any more."""
        if self._file.is_at(self._path) or not self.is_quiet:
            return []
        following = self._following()
        return [] if following is None else self._left_for(following)

    def _truncated(self) -> list[Line]:
        """What was not read yet is in the copy, if there is one; then the file begins again."""
        self.is_behind = True
        copy = self._found(self._read_to, self._tail, None)
        if copy is None:
            self._gap(self._read_to)
            return self._left_for(self._file)
        self._file.close()
        self._file = copy
        return []

    def _left_for(self, file: _File) -> list[Line]:
        """What was waiting for more lines, or for its end, comes as it is: there is nothing more to wait for."""
        lines = [line for raw in self._splitter.end() for line in self._fed(raw)] + list(self._form.end())
        if file is not self._file:
            self._file.close()
        self._begin(file)
        self.is_behind = True
        return lines

    def _following(self) -> _File | None:
        """The oldest rotated file that is newer than this one, else the one there; None while it cannot be opened."""
        rotated = sorted(_opened(self._rotated()), key=lambda file: file.modified_ns)
        files = [*rotated, *_opened([self._path])]
        chosen = next((file for file in files if file.follows(self._file) or file.is_at(self._path)), None)
        _close(file for file in files if file is not chosen)
        return chosen

    def _found(self, offset: int, tail: str, inode: int | None) -> _File | None:
        """The file with those bytes before `offset`: the one of that inode, else a rotated one, else the one there. The
        beginning of a file is like that of any other: there only the inode tells.
        """
        files = _opened([*self._rotated(), self._path])
        fitting = [file for file in files if file.continues(offset, tail) and (offset or file.inode == inode)]
        chosen = next((file for file in fitting if file.inode == inode), None) or next(iter(fitting), None)
        _close(file for file in files if file is not chosen)
        return chosen

    def _rotated(self) -> Iterator[Path]:
        name = re.compile(re.escape(self._path.name) + _ROTATED)
        for path in self._path.parent.iterdir():
            if name.fullmatch(path.name) and path.is_file():
                yield path

    def _gap(self, offset: int) -> None:
        log.warning(
            "follow_gap",
            file=str(self._path),
            after_byte=offset,
            consequence="replaced or truncated, and its copy is not beside it: read from the start",
        )


def _opened(paths: Iterable[Path]) -> list[_File]:
    """Those files that can be opened; others may be gone by now, or not be there yet."""
    files = []
    for path in paths:
        with suppress(FileNotFoundError, PermissionError):
            files.append(_File(path))
    return files


def _close(files: Iterable[_File]) -> None:
    for file in files:
        file.close()
