"""What both servers have in common: come up once, adopt or clear away what an earlier run left, go down for certain."""

import time
from abc import ABC, abstractmethod
from contextlib import ExitStack
from pathlib import Path
from signal import Signals
from typing import ClassVar

from tenacity import RetryError, Retrying, retry_if_result, stop_after_delay, wait_fixed

from m10actors import logs
from m10actors.embedded.data_folder import DataFolder
from m10actors.embedded.errors import EmbeddedError, ServerEnded
from m10actors.embedded.process import ServerProcess, find_processes, launch

log = logs.logger(__name__)

_PATIENCE = 10.0  # seconds that a server has for each step of its way down


class Server(ABC):
    """One server on one data folder, whose lock the caller holds.

    A server that an earlier run left is adopted if it answers, with the settings that it was started with; otherwise it
    is killed, which write-ahead log and append-only file are made for.
    """

    name: ClassVar[str]
    program: str

    def __init__(self, data: DataFolder, *, start_timeout: float, fsync: bool) -> None:
        self.data = data
        self.fsync = fsync
        self.start_timeout = start_timeout
        self._process: ServerProcess | None = None

    @property
    def folder(self) -> Path:
        """The server's own data, and its working directory."""
        return self.data.path / self.name

    @property
    def log_file(self) -> Path:
        """The output of this run; that of the run before has `.1` behind its name."""
        return self.data.path / f"{self.name}.log"

    @property
    def pid(self) -> int | None:
        """The process to aim a fault at; None while the server does not run."""
        return self._process.pid if self._process and self._process.running else None

    @property
    def way_out(self) -> str:
        """What an operator can do where the server's own data keeps it from starting."""
        return ""

    def start(self) -> None:
        """Come up, or find out that it is up; EmbeddedError if it does not within `start_timeout` seconds."""
        if self.pid is not None:
            return
        began = time.monotonic()
        self.prepare()
        self._process = adopted = self._left_by_an_earlier_run()
        if adopted is None:
            self._launch()
        log.info(
            "server_adopted" if adopted else "server_started",
            server=self.name,
            pid=self.pid,
            seconds=round(time.monotonic() - began, 3),
        )

    def kill(self) -> None:
        """End it as `kill -9` does; `start` brings it back."""
        self._end(Signals.SIGKILL)

    @abstractmethod
    def prepare(self) -> None:
        """Make the server's folder where it is missing, and refuse one that it cannot run on."""

    @abstractmethod
    def clean(self) -> None:
        """Remove what a killed server left that would hinder a new one; no process of it is left."""

    @abstractmethod
    def command(self) -> list[str]:
        """The command line that runs the server in the foreground."""

    @abstractmethod
    def answers(self) -> bool:
        """Does it take a connection and serve?"""

    def _end(self, *signals: Signals) -> None:
        """Send each signal in turn until the process has ended."""
        if self._process is None:
            return
        for number in signals:
            self._process.signal(number)
            self._process.signal(Signals.SIGCONT)  # one that is paused hears nothing else
            if self._process.wait(_PATIENCE):
                return
            log.warning("server_slow_to_end", server=self.name, pid=self._process.pid, signal=number.name)
        raise EmbeddedError(f"{self.program} (process {self._process.pid}) does not end, not even by SIGKILL")

    def _forget(self) -> None:
        """After the end: its children, which go by themselves when they notice, are gone too."""
        if self._process is not None:
            self._clear_away()
            self._process = None

    def _left_by_an_earlier_run(self) -> ServerProcess | None:
        """The server that is still there, if it serves; whatever else is left is killed."""
        found = find_processes(self.program, self.folder)
        pids = {process.pid for process in found}
        heads = [process for process in found if process.parent not in pids]
        if len(heads) == 1 and self.answers():
            return heads[0]
        self._clear_away()
        return None

    def _clear_away(self) -> None:
        deadline = time.monotonic() + _PATIENCE
        while found := find_processes(self.program, self.folder):
            for process in found:
                process.signal(Signals.SIGKILL)
            for process in found:
                process.wait(_PATIENCE)
            if time.monotonic() > deadline:
                raise EmbeddedError(
                    f"{self.program} on {self.folder} does not end: processes {[process.pid for process in found]}"
                )

    def _launch(self) -> None:
        self.clean()
        if self.log_file.exists():
            self.log_file.replace(f"{self.log_file}.1")
        with ExitStack() as undo:
            self._process = launch(self.command(), self.folder, self.log_file)
            undo.callback(self.kill)
            self._wait_until_up(self._process)
            undo.pop_all()

    def _wait_until_up(self, process: ServerProcess) -> None:
        def is_up() -> bool:
            if not process.running:
                raise ServerEnded(f"{self.program} ended while it started{self.way_out}; {self._end_of_log()}")
            return self.answers()

        patiently = Retrying(
            stop=stop_after_delay(self.start_timeout), wait=wait_fixed(0.01), retry=retry_if_result(lambda up: not up)
        )
        try:
            patiently(is_up)
        except RetryError:
            raise EmbeddedError(
                f"{self.program} did not come up in {self.start_timeout:g} s; {self._end_of_log()}"
            ) from None

    def _end_of_log(self, lines: int = 10) -> str:
        last = self.log_file.read_text(errors="replace").splitlines()[-lines:]
        return "\n".join([f"the end of {self.log_file}:", *last])
