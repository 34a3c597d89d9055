"""The input of `m10 ingest` and of the demo: a file, gzipped or not, or standard input, and what its lines hold."""

import gzip
import os
import socket
import stat
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from io import BufferedReader
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, assert_never

from m10actors.cli.errors import CommandError, WrongUsage
from m10actors.lines import Chunks, JsonLines, Keys, Line, LineFormat, OneTimeKeys, read
from m10actors.recovery.file_keys import FileKeys

if TYPE_CHECKING:
    from m10actors.loglines.reader import Recognise

STDIN = Path("-")
_GZIP_MAGIC = b"\x1f\x8b"


class Format(StrEnum):
    """What a line holds."""

    JSONL = "jsonl"
    LOG = "log"
    JOURNALD = "journald"


@dataclass(frozen=True, slots=True)
class Reading:
    """How lines are understood, as the options say."""

    format: Format
    source: str
    levels: str
    pattern: str | None = None
    key_from: str | None = None

    def form(self) -> LineFormat:
        """A reader for one input; WrongUsage where options do not fit one another or cannot be understood."""
        if self.key_from is not None and self.format is not Format.JSONL:
            raise WrongUsage("--key-from goes with --format jsonl: other lines have no fields")
        if self.pattern is not None and self.format is not Format.LOG:
            raise WrongUsage("--pattern goes with --format log")
        match self.format:
            case Format.JSONL:
                return JsonLines(self.source, self.key_from)
            case Format.LOG | Format.JOURNALD:
                return self._log_form()
            case _:
                assert_never(self.format)

    def _log_form(self) -> LineFormat:
        from m10actors.loglines.journal import JournalLines
        from m10actors.loglines.reader import LogLines

        levels = self.levels.split(",")
        try:
            if self.format is Format.JOURNALD:
                return JournalLines(self.source, levels)
            return LogLines(self.source, levels, _recogniser(self.pattern) if self.pattern is not None else None)
        except ValueError as error:
            raise WrongUsage(f"--levels: expected {error}") from None


@dataclass(frozen=True, slots=True)
class Opened:
    """An input: its bytes, its size if it is a regular file, and how many of those bytes have been read."""

    chunks: Chunks
    size: int | None
    read_bytes: Callable[[], int]
    is_gzipped: bool = False


@contextmanager
def opened(file: Path) -> Iterator[Opened]:
    """The file, unpacked if it is gzipped; WrongUsage if it cannot be opened."""
    if file == STDIN:
        piped = sys.stdin.buffer
        assert isinstance(piped, BufferedReader), "Python opens it so"
        yield Opened(piped, _size(piped), lambda: 0)
        return
    try:
        stream = file.open("rb")
    except OSError as error:
        raise WrongUsage(f"{file} cannot be read: {error.strerror}") from error
    with stream:
        size = _size(stream)
        if size is not None and stream.peek(2)[:2] == _GZIP_MAGIC:
            with gzip.GzipFile(fileobj=stream) as unpacked:
                yield Opened(unpacked, size, stream.tell, is_gzipped=True)
        else:
            yield Opened(stream, size, stream.tell if size is not None else lambda: 0)


@dataclass(frozen=True, slots=True)
class _Watched:
    """Bytes of an input, and `tell` with how many of them have been read."""

    source: Opened
    tell: Callable[[int], object]

    def read1(self, size: int, /) -> bytes:
        chunk = self.source.chunks.read1(size)
        self.tell(self.source.read_bytes())
        return chunk


def failures(
    source: Opened, form: LineFormat, keys: Keys, name: Path, tell: Callable[[int], object] = lambda _bytes: None
) -> Iterator[Line]:
    """What `form` finds in the input; CommandError where it cannot be read to its end."""
    try:
        yield from read(_Watched(source, tell), form, keys)
    except (OSError, EOFError, zlib.error) as error:
        raise CommandError(f"{name} cannot be read to its end: {error}") from error


def keys_of(source: Opened, file: Path, run_id: str | None, key_from: str | None) -> Keys:
    """By place for a file; for a pipe or standard input keys that only this run knows."""
    if run_id is not None and key_from is not None:
        raise WrongUsage("--run-id and --key-from exclude one another: one makes keys, the other finds them")
    if file != STDIN and source.size is not None:
        return file_keys(file, run_id)
    if run_id is not None:
        raise WrongUsage("--run-id goes with a file: lines of a pipe have no keys to make new")
    return OneTimeKeys()


def file_keys(file: Path, run_id: str | None, chain: bytes = b"") -> FileKeys:
    """The keys of a file's lines (contracts, section 4)."""
    return FileKeys(socket.gethostname(), os.path.realpath(file), run_id=run_id or "", chain=chain)


def _recogniser(expression: str) -> "Recognise":
    from m10actors.loglines.pattern import InvalidPattern, Pattern

    try:
        return Pattern(expression)
    except InvalidPattern as error:
        raise WrongUsage(f"--pattern: {error}") from None


def _size(stream: BinaryIO) -> int | None:
    """The bytes of a regular file; None for what has no end that is known."""
    state = os.fstat(stream.fileno())
    return state.st_size if stat.S_ISREG(state.st_mode) else None
