"""The data folder: who owns it, what lies where in it, and where its sockets are.

    lock             held (flock) by the one process that runs on the folder, with its pid inside
    postgres/        PostgreSQL's data directory        postgres.log, postgres.log.1 (the run before)
    valkey/          Valkey's append-only file          valkey.log, valkey.log.1
    sockets/         both Unix sockets, where their path allows that, otherwise:
    socket-folder    the path of the folder under the temporary directory that holds them

Everything within is open to its owner only. A data folder that exists already keeps its permissions.
"""

import fcntl
import os
import stat
import tempfile
from contextlib import ExitStack, suppress
from pathlib import Path

from m10actors.embedded.errors import DataFolderInUse, EmbeddedError

_NOTE = "socket-folder"
_LONGEST_SOCKET_NAME = ".s.PGSQL.5432"
_LONGEST_SOCKET_PATH = 107  # bytes; sun_path of unix(7) has 108 with the closing zero


class DataFolder:
    """The folder of one pair of servers. `acquire` before anything else."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self._lock: int | None = None
        self._sockets: Path | None = None

    def acquire(self) -> None:
        """Make the folder where it is missing and become its one owner; DataFolderInUse if another one is."""
        if self._lock is not None:
            return
        if self.path.exists() and not self.path.is_dir():
            raise EmbeddedError(f"{self.path} is not a folder")
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = self._take_lock()
        with ExitStack() as undo:
            undo.callback(self.release)
            self._sockets = self._socket_folder()
            undo.pop_all()

    def release(self) -> None:
        """Let go of the folder, with no server running on it any more; safe to call twice."""
        if self._lock is not None:
            self._remove_outside_sockets()
            os.close(self._lock)
            self._lock = None

    @property
    def sockets(self) -> Path:
        """The folder of the sockets (mode 0700). While servers run, the same one for every owner of the data folder."""
        assert self._sockets is not None, "acquire the folder first"
        return self._sockets

    def private(self, name: str) -> Path:
        """The folder `name` within, made where it is missing, open to its owner only."""
        path = self.path / name
        path.mkdir(mode=0o700, exist_ok=True)
        if path.is_symlink() or path.stat().st_uid != os.geteuid():
            raise EmbeddedError(
                f"{path} belongs to user {path.lstat().st_uid}: run m10 as that user, or use another data folder"
            )
        path.chmod(0o700)
        return path

    def _take_lock(self) -> int:
        with ExitStack() as undo:
            lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            undo.callback(os.close, lock)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                owner = os.pread(lock, 20, 0).strip()
                raise DataFolderInUse(self.path, int(owner) if owner.isdigit() else None) from None
            os.ftruncate(lock, 0)
            os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
            undo.pop_all()
        return lock

    def _socket_folder(self) -> Path:
        if _can_hold_sockets(self.path / "sockets"):
            return self.private("sockets")
        if remembered := _remembered(self.path):
            return remembered
        made = Path(tempfile.mkdtemp(prefix="m10-"))
        if not _can_hold_sockets(made):
            made.rmdir()
            raise EmbeddedError(
                f"neither the data folder {self.path} nor the temporary directory {made.parent} can hold Unix sockets "
                f"(a path of {_LONGEST_SOCKET_PATH} bytes at most, no comma): use another data folder, or set TMPDIR"
            )
        self._note.write_bytes(os.fsencode(made))
        return made

    def _remove_outside_sockets(self) -> None:
        with suppress(OSError):  # a socket is left in it: then the next owner finds both again
            if remembered := _remembered(self.path):
                remembered.rmdir()
                self._note.unlink()

    @property
    def _note(self) -> Path:
        return self.path / _NOTE


def sockets_of(path: Path) -> Path | None:
    """The folder of the sockets, for somebody beside the owner of the data folder; None if no owner ever made one."""
    if _is_private(within := path.absolute() / "sockets"):
        return within
    return _remembered(path)


def _remembered(path: Path) -> Path | None:
    """The folder outside that holds the sockets; None if there is none, or the note of it cannot be believed."""
    with suppress(OSError, ValueError):
        remembered = Path(os.fsdecode((path / _NOTE).read_bytes()))
        if remembered.is_absolute() and _is_private(remembered):
            return remembered
    return None


def _can_hold_sockets(folder: Path) -> bool:
    """Is the path short enough for unix(7), and without the comma that would part it into two for libpq?"""
    path = os.fsencode(folder / _LONGEST_SOCKET_NAME)
    return len(path) <= _LONGEST_SOCKET_PATH and b"," not in path


def _is_private(folder: Path) -> bool:
    try:
        state = folder.lstat()
    except FileNotFoundError:
        return False
    return stat.S_ISDIR(state.st_mode) and state.st_uid == os.geteuid() and not state.st_mode & 0o077
