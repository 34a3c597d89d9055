"""Which processes live on this run folder: each holds an flock on a file of its own for as long as it lives.

A starting process that can lock another's file knows that it is dead, and takes over what it held. No pid is ever
judged.
"""

import fcntl
import json
import os
import secrets
import socket
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self


class RunFolderError(Exception):
    """The run folder cannot be used; the message says why."""


def new_worker_id() -> str:
    """`host:pid:8 hex digits`: never the same twice, not even in a container that always has pid 1."""
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"


@dataclass(frozen=True, slots=True)
class Known:
    """What an instance file says, and whether its process lives."""

    worker: str
    facts: Mapping[str, object]
    alive: bool


class Instance:
    """The own file, held until the process ends or `leave` is called."""

    def __init__(self, folder: Path, worker: str, handle: int) -> None:
        self.worker = worker
        self._path = folder / f"{worker}.json"
        self._handle = handle

    @classmethod
    def enter(cls, run_dir: Path, worker: str) -> Self:
        """Makes the run folder (0700) where it is missing, and the own file in it (0600), locked before it has its
        name.
        """
        folder = _folder(run_dir)
        draft = folder / f".{worker}"
        handle = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        draft.rename(folder / f"{worker}.json")
        instance = cls(folder, worker, handle)
        instance.write({})
        return instance

    def write(self, facts: Mapping[str, object]) -> None:
        """Says where this process can be reached. The file is written in place: replacing it would give its lock
        away.
        """
        text = json.dumps({"worker": self.worker, "pid": os.getpid(), **facts}).encode()
        os.pwrite(self._handle, text, 0)
        os.ftruncate(self._handle, len(text))

    def leave(self) -> None:
        """A clean end leaves nothing to take over."""
        self._path.unlink(missing_ok=True)
        os.close(self._handle)


def known(run_dir: Path) -> list[Known]:
    """All instances that left or hold a file in the run folder; none if there is no such folder."""
    return [Known(worker, facts, alive) for worker, facts, alive in _look(run_dir / "instances")]


def forget(run_dir: Path, workers: tuple[str, ...]) -> None:
    """Removes the files and sockets of dead processes, once what they held is taken over."""
    for instance in known(run_dir):
        if instance.worker in workers and not instance.alive:
            for address in _strings(instance.facts.get("ops")):
                if address.startswith("unix:"):
                    Path(address.removeprefix("unix:")).unlink(missing_ok=True)
            (run_dir / "instances" / f"{instance.worker}.json").unlink(missing_ok=True)


def _strings(value: object) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def _look(folder: Path) -> Iterator[tuple[str, Mapping[str, object], bool]]:
    for path in sorted(folder.glob("*.json")):
        try:
            handle = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:
            continue  # it ended meanwhile, or it is no file of an instance
        try:
            yield path.stem, _facts(handle), _is_locked(handle)
        finally:
            os.close(handle)


def _is_locked(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False


def _facts(handle: int) -> Mapping[str, object]:
    try:
        facts = json.loads(os.pread(handle, 65_536, 0))
    except ValueError:
        return {}
    return facts if isinstance(facts, dict) else {}


def _folder(run_dir: Path) -> Path:
    try:
        run_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder = run_dir / "instances"
        folder.mkdir(mode=0o700, exist_ok=True)
        state = folder.lstat()
    except OSError as error:
        raise RunFolderError(f"the run folder {run_dir} cannot be used: {error.strerror}") from error
    if not stat.S_ISDIR(state.st_mode) or state.st_uid != os.geteuid():
        raise RunFolderError(f"{folder} is not a folder of this user")
    return folder
