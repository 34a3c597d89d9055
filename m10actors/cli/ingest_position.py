"""Where `m10 ingest --follow` keeps how far it is: a small JSON file for each file, target and run id."""

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from m10actors.cli.errors import WrongUsage
from m10actors.following import Position


class KeptPosition:
    """One position, replaced atomically; readable by its owner only."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._last: Position | None = None

    def read(self) -> Position | None:
        """The position; None at the first time. WrongUsage if the file holds none."""
        try:
            kept = json.loads(self._path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise self._unusable(error) from error
        match kept:
            case {
                "inode": int(inode),
                "offset": int(offset),
                "tail": str(tail),
                "chain": str(chain),
                "lines": int(lines),
                "memory": dict(memory),
            } if offset >= 0 and _is_hexadecimal(chain):
                return Position(inode, offset, tail, chain, lines, memory)
            case _:
                raise self._unusable("it holds no position")

    def write(self, position: Position) -> None:
        """Replaces what was kept, if it is another."""
        if position == self._last:
            return
        new = self._path.with_suffix(".new")
        try:
            handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            with os.fdopen(handle, "w") as file:
                json.dump(asdict(position), file)
                file.flush()
                os.fsync(file.fileno())
            new.replace(self._path)
        except OSError as error:
            raise WrongUsage(f"the position cannot be kept in {self._path}: {error.strerror}") from error
        self._last = position

    def _unusable(self, error: object) -> WrongUsage:
        return WrongUsage(
            f"the position in {self._path} cannot be read ({error}): remove it to read the log from its start again, "
            "with the same keys"
        )


@contextmanager
def kept_position(state_dir: Path | None, file: Path, target: str, run_id: str | None) -> Iterator[KeptPosition]:
    """The position of this file for this target; WrongUsage while another process follows it."""
    folder = (state_dir or _default_folder()) / "follow"
    name = hashlib.sha256("\x00".join((os.path.realpath(file), target, run_id or "")).encode()).hexdigest()[:32]
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(folder / f"{name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise WrongUsage(f"--state-dir {folder} cannot be used: {error.strerror}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield KeptPosition(folder / f"{name}.json")
    except BlockingIOError:
        raise WrongUsage(f"another process follows {file} for {target}") from None
    finally:
        os.close(lock)


def _default_folder() -> Path:
    """As the XDG base directory specification says."""
    state = os.environ.get("XDG_STATE_HOME", "")
    return (Path(state) if state.startswith("/") else Path.home() / ".local" / "state") / "m10"


def _is_hexadecimal(text: str) -> bool:
    try:
        bytes.fromhex(text)
    except ValueError:
        return False
    return True
