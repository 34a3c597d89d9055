"""The life of the process: signals, the drain, the exit code. Only here does anything end the process."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from m10actors import logs
from m10actors.application import Application
from m10actors.cli.errors import ExitCode
from m10actors.supervision import dump_stacks

log = logs.logger(__name__)


class Life:
    """Waits in the main thread until something asks for the end. A second SIGTERM or SIGINT cuts the drain short."""

    def __init__(self) -> None:
        self._asked = threading.Event()
        self._reason = ""
        self.hurry = threading.Event()

    @contextmanager
    def signals(self) -> Iterator[None]:
        """SIGTERM and SIGINT drain, SIGUSR1 prints every thread's stack with its child id."""
        before = {
            number: signal.signal(number, self._on_signal) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def end(self, reason: str) -> None:
        """Asks for the end, from any thread."""
        self._reason = self._reason or reason
        self._asked.set()

    @property
    def is_ending(self) -> bool:
        return self._asked.is_set()

    def wait(self, seconds: float | None = None) -> bool:
        """Waits until the end is asked for; whether it is."""
        return self._asked.wait(seconds)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGUSR1:
            sys.stderr.write(dump_stacks())
            return
        if self._asked.is_set():
            self.hurry.set()
        self.end(signal.Signals(number).name)

    @property
    def reason(self) -> str:
        return self._reason


def start(application: Application, life: Life) -> None:
    """Starts an application that ends with `life`; one that does not start is stopped again, and the error goes on."""
    try:
        application.start(on_drain=lambda: life.end("drain"), on_give_up=lambda: life.end("gave up"))
    except BaseException:
        application.stop()
        raise


def run_until_asked(application: Application, life: Life) -> ExitCode:
    """Waits for the end of a started application, drains it, and gives the exit code.

    A drain that is cut short leaves nothing undone that the next start does not take over: it is like a crash.
    """
    life.wait()
    log.info("draining", reason=life.reason, grace_seconds=application.settings.process.grace.total_seconds())
    drain = threading.Thread(target=application.stop, name="drain", daemon=True)
    drain.start()
    while drain.is_alive() and not life.hurry.is_set():
        drain.join(0.1)
    if drain.is_alive():
        log.warning("drain_cut_short", reason=life.reason)
    log.info("stopped", abandoned_threads=application.abandoned)
    return ExitCode.GAVE_UP if application.given_up.is_set() else ExitCode.DONE
