"""One running server program, held by a pidfd (Linux 5.3): a signal never hits another that got its number."""

import os
import select
import signal
import subprocess
import weakref
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path


class ServerProcess:
    """A running process, our child or not."""

    def __init__(self, pid: int, parent: int, child: subprocess.Popen[bytes] | None = None) -> None:
        """ProcessLookupError if there is no process of this number."""
        self.pid = pid
        self.parent = parent
        self._child = child
        self._pidfd = os.pidfd_open(pid)
        weakref.finalize(self, os.close, self._pidfd)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal; nothing happens if the process has ended."""
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._pidfd, number)

    def wait(self, timeout: float) -> bool:
        """Has it ended, at the latest in `timeout` seconds?"""
        poll = select.poll()
        poll.register(self._pidfd, select.POLLIN)
        ended = bool(poll.poll(timeout * 1000))
        if ended and self._child is not None:
            self._child.wait()
        return ended

    @property
    def running(self) -> bool:
        return not self.wait(0)


def launch(command: Sequence[str], folder: Path, log_file: Path) -> ServerProcess:
    """Run a server with `folder` as its working directory and its output appended to `log_file`.

    It gets a session of its own, so that a terminal's Ctrl-C reaches only us.
    """
    output = os.open(log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=folder,
            env=environment(),
            start_new_session=True,
            umask=0o077,
        )
    finally:
        os.close(output)
    return ServerProcess(child.pid, os.getpid(), child)


def environment() -> dict[str, str]:
    """Ours for the server programs: English messages, and no setting of PostgreSQL that somebody meant for a client."""
    return {key: value for key, value in os.environ.items() if not key.startswith("PG")} | {"LC_ALL": "C", "TZ": "UTC"}


def find_processes(program: str, folder: Path) -> list[ServerProcess]:
    """All running processes of `program` (at most 15 characters) that have `folder` as their working directory.

    Both servers go to their data folder when they start, and so do their children. Unlike a pid file, the kernel's word
    is neither old nor missing. Processes of other users are not seen.
    """
    pids = (int(entry.name) for entry in Path("/proc").glob("[0-9]*"))
    return [process for pid in pids if (process := _look_up(pid, program, folder))]


def _look_up(pid: int, program: str, folder: Path) -> ServerProcess | None:
    entry = Path("/proc", str(pid))
    with suppress(OSError):
        if (entry / "comm").read_text(errors="replace") == f"{program}\n":
            # The name, in parentheses, may hold anything; state and parent follow it (proc(5)).
            parent = int((entry / "stat").read_bytes().rpartition(b")")[2].split()[1])
            process = ServerProcess(pid, parent)
            # The race with a reused number: the folder is looked at between taking hold of the process and finding it
            # alive, so it is this process's, whatever had the number when the name was read.
            if (entry / "cwd").samefile(folder) and process.running:
                return process
    return None
