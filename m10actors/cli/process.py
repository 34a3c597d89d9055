"""The life of the process: what it is asked to do, the drain, the exit code. Only here does anything end the process.

Imports little, so that signals are heard before the rest of a verb is loaded.
"""

import logging
import math
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from enum import Enum
from queue import Empty, SimpleQueue
from types import FrameType
from typing import TYPE_CHECKING, Final, NoReturn

from m10actors import collector, logs
from m10actors.cli.errors import ExitCode
from m10actors.systemd import ServiceManager

if TYPE_CHECKING:
    from m10actors.application import Application

log = logs.logger(__name__)

LOOK_SECONDS: Final = 5.0
"""How often the status line of the service manager is brought up to date."""
HEED_SECONDS: Final = 0.5
"""A signal that another thread was given is heard after so long."""
LEEWAY_SECONDS: Final = 1.0
"""What may come after the grace period: pools that close, and the last lines of the log."""


class Asked(Enum):
    """What the process can be asked to do; HURRY cuts a drain short, DRAINED says that it is over."""

    END = "end"
    HURRY = "hurry"
    RELOAD = "reload"
    DRAINED = "drained"


class Life:
    """What is asked of the process, by signals, by an operator, by its own tree: in order.

    A handler interrupts the main thread anywhere, also within a wait: of what wakes a thread only a SimpleQueue may be
    told from there. An Event would wait for a lock that the interrupted wait holds.
    """

    def __init__(self, *, reloads: bool = False) -> None:
        self.reason = ""
        self._reloads = reloads
        self._was_signalled = False
        self._asked: SimpleQueue[Asked] = SimpleQueue()

    @contextmanager
    def signals(self) -> Iterator[None]:
        """SIGTERM and SIGINT drain, a second one hurries; SIGHUP reloads, or drains where nothing can be reloaded;
        SIGUSR1 prints every thread's stack with its child id.
        """
        heard = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)
        before = {number: signal.signal(number, self._on_signal) for number in heard}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def ask(self, asked: Asked) -> None:
        """From any thread."""
        self._asked.put(asked)

    def end(self, reason: str) -> None:
        """Asks for the end, from any thread. Again it changes nothing; only a signal hurries."""
        self.reason = self.reason or reason
        self.ask(Asked.END)

    @property
    def is_ending(self) -> bool:
        return bool(self.reason)

    def next(self, seconds: float | None = None) -> Asked | None:
        """What is asked next; None if it is nothing within so many seconds.

        Looks up again and again: the kernel may hand a signal to any thread, which does not end the wait of this one,
        and Python runs its handler in this one alone.
        """
        until = math.inf if seconds is None else time.monotonic() + seconds
        while True:
            left = max(0.0, until - time.monotonic())
            with suppress(Empty):
                return self._asked.get(timeout=min(left, HEED_SECONDS))
            if left <= HEED_SECONDS:
                return None

    def wait(self, seconds: float) -> bool:
        """Waits up to so many seconds for the end; whether it is asked for. For those who hear nothing else."""
        return self.is_ending or self.next(seconds) is Asked.END

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        match signal.Signals(number):
            case signal.SIGUSR1:
                from m10actors.supervision.stacks import dump_stacks

                os.write(2, dump_stacks().encode())  # past the buffer, in which it may have interrupted a write
            case signal.SIGHUP if self._reloads:
                self.ask(Asked.RELOAD)
            case _ if self._was_signalled:
                self.ask(Asked.HURRY)
            case known:
                self._was_signalled = True
                self.end(known.name)


def start(application: "Application", life: Life) -> None:
    """Starts an application that ends with `life`; one that does not start is stopped again, and the error goes on."""
    try:
        with collector.loading():
            application.start(on_drain=lambda: life.end("drain"), on_give_up=lambda: life.end("gave up"))
    except BaseException:
        application.stop()
        raise


def run_until_asked(
    application: "Application",
    life: Life,
    manager: ServiceManager | None = None,
    reload: Callable[[], None] = lambda: None,
) -> ExitCode:
    """Waits for the end of a started application, drains it, and gives the exit code.

    A drain that is cut short, or takes longer than the grace period, leaves nothing undone that the next start does not
    take over: it is like a crash.
    """
    manager = manager or ServiceManager()
    manager.ready(application.condition())
    _serve(application, life, manager, reload)
    manager.stopping(f"draining: {life.reason}")
    _drain(application, life)
    log.info("stopped", reason=life.reason, abandoned_threads=application.abandoned)
    return ExitCode.GAVE_UP if application.given_up.is_set() else ExitCode.DONE


def leave(code: int) -> NoReturn:
    """Ends the process now: no thread holds it up, not even those that a library waits for at exit. Its output is
    written, unless that blocks.
    """
    flushing = threading.Thread(target=_flush, name="flush", daemon=True)
    flushing.start()
    flushing.join(LEEWAY_SECONDS)
    os._exit(code)


def _serve(application: "Application", life: Life, manager: ServiceManager, reload: Callable[[], None]) -> None:
    """Until the end is asked for. The watchdog hears of a tree in which every supervisor makes progress."""
    watchdog = manager.watchdog
    period = min(watchdog / 2, LOOK_SECONDS) if watchdog else LOOK_SECONDS if manager.listens else None
    while (asked := life.next(period)) is not Asked.END:
        if asked is Asked.RELOAD:
            manager.reloading()
            reload()
            manager.ready(application.condition())
        if watchdog is not None and not application.is_stuck(watchdog):
            manager.alive()
        manager.status(application.condition())


def _drain(application: "Application", life: Life) -> None:
    """Stops the application, for at most the grace period or until somebody asks again."""
    grace = application.settings.process.grace.total_seconds()
    log.info("draining", reason=life.reason, grace_seconds=grace)

    def stop() -> None:
        try:
            application.stop(grace)
        finally:
            life.ask(Asked.DRAINED)

    threading.Thread(target=stop, name="drain", daemon=True).start()
    until = time.monotonic() + grace + LEEWAY_SECONDS
    while (asked := life.next(max(0.0, until - time.monotonic()))) is not Asked.DRAINED:
        match asked:
            case Asked.HURRY:
                log.warning("drain_cut_short", reason=life.reason)
                return
            case None:
                log.error("drain_overran", grace_seconds=grace)
                return
            case Asked.END | Asked.RELOAD:
                continue


def _flush() -> None:
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
