"""One file of a spool. Whoever has it holds an flock on it, which ends with the process: two never send the same."""

import fcntl
import os
import secrets
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Self

SUFFIX: Final = ".jsonl"


class Segment:
    """Lines of JSON, appended at the end. For one thread at a time.

    `size` are its bytes up to the last end of a line, `waiting` the lines that are not sent. `torn` is 1 where a crash
    had cut the last line, which is left out, else 0.
    """

    def __init__(self, path: Path, handle: int, found: bytes = b"") -> None:
        self.size = found.rfind(b"\n") + 1
        self.waiting = sum(map(bool, map(bytes.strip, found[: self.size].split(b"\n"))))
        self.torn = int(self.size < len(found))
        self._path = path
        self._handle = handle
        self._sent = 0

    @classmethod
    def create(cls, folder: Path) -> Self:
        """A new file (0600), locked before it has its name. OSError."""
        name = f"{time.time_ns():020}-{secrets.token_hex(4)}{SUFFIX}"
        draft = folder / f".{name}"
        handle = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            draft.rename(folder / name)
        except OSError:
            os.close(handle)
            raise
        return cls(folder / name, handle)

    @classmethod
    def adopt(cls, path: Path) -> Self | None:
        """What nobody holds any more; None if somebody does, or if it is gone or not ours."""
        try:
            handle = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:
            return None
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            state = os.fstat(handle)
            if state.st_nlink == 0:  # its holder sent and removed it after we had opened it
                raise FileNotFoundError(path)
            return cls(path, handle, os.pread(handle, state.st_size, 0))
        except OSError:
            os.close(handle)
            return None

    @property
    def is_sent(self) -> bool:
        return self._sent >= self.size

    def append(self, lines: Sequence[bytes]) -> None:
        """All or none. OSError."""
        data = b"".join(lines)
        try:
            written = 0
            while written < len(data):
                written += os.write(self._handle, data[written:])
        except OSError:
            os.ftruncate(self._handle, self.size)
            raise
        self.size += len(data)
        self.waiting += len(lines)

    def next_lines(self, most: int, max_bytes: int) -> tuple[list[bytes], int]:
        """The lines that are to be sent next, blank ones left out, and how many bytes they take here."""
        data = os.pread(self._handle, min(max_bytes, self.size - self._sent), self._sent)
        lines = data.split(b"\n")[:-1][:most] or [data]  # a line longer than a batch is no failure: refused as it is
        taken = sum(len(line) + 1 for line in lines)
        return [line + b"\n" for line in lines if line.strip()], taken

    def sent(self, lines: int, taken: int) -> None:
        """What `next_lines` gave is done with."""
        self.waiting -= lines
        self._sent += taken

    def remove(self) -> None:
        """Once all is sent. OSError: it is still there, and still held."""
        self._path.unlink(missing_ok=True)
        os.close(self._handle)

    def let_go(self) -> None:
        """Leaves it to another process, or to this one later."""
        os.close(self._handle)
