"""Failpoints: named places in the program where a test makes it die, stop, fail or wait.

`M10_FAILPOINTS="name:action[:nth],…"` arms them, and only together with `M10_TESTING=1`. Actions: `kill` (SIGKILL to
itself), `stop` (SIGSTOP to itself), `raise:<class of builtins>`, `delay:<milliseconds>`, `exit` (at once, status 1,
nothing cleaned up). A failpoint fires at its nth hit only; the first is 1, the default.
"""

import builtins
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import NoReturn


def failpoint(name: str) -> None:
    """Does what is armed under `name`; nothing in production, where this is one look at an empty dict."""
    if _armed and name in _armed:
        _armed[name].hit()


def refuse_in_production(environ: Mapping[str, str] = os.environ) -> None:
    """For the command, before anything starts: exit status 2 if failpoints are set without `M10_TESTING=1`."""
    if environ.get("M10_FAILPOINTS") and environ.get("M10_TESTING") != "1":
        sys.stderr.write("M10_FAILPOINTS is set, but this is no test (M10_TESTING=1): not starting\n")
        raise SystemExit(2)


@contextmanager
def armed(text: str) -> Iterator[None]:
    """Arms the failpoints of `text` in this process for a while, in place of those armed before."""
    before = dict(_armed)
    _replace(parse(text))
    try:
        yield
    finally:
        _replace(before)


class Failpoint:
    """One armed failpoint; thread-safe."""

    def __init__(self, action: Callable[[], None], nth: int) -> None:
        self._action = action
        self._hits_left = nth
        self._lock = threading.Lock()

    def hit(self) -> None:
        with self._lock:
            self._hits_left -= 1
            fires = self._hits_left == 0
        if fires:
            self._action()


def parse(text: str) -> dict[str, Failpoint]:
    """The failpoints of `name:action[:nth],…`; ValueError names the first that is not understood."""
    return dict(_one(entry.strip()) for entry in text.split(",") if entry.strip())


def _one(entry: str) -> tuple[str, Failpoint]:
    match entry.split(":"):
        case [name, ("raise" | "delay") as action, argument, *rest] if len(rest) <= 1:
            pass
        case [name, ("kill" | "stop" | "exit") as action, *rest] if len(rest) <= 1:
            argument = ""
        case _:
            raise ValueError(f"not a failpoint: {entry!r}; expected name:action[:nth]")
    nth = int(rest[0]) if rest else 1
    if nth < 1:
        raise ValueError(f"not a failpoint: {entry!r}; the first hit is 1")
    return name, Failpoint(_action(action, argument), nth)


def _action(action: str, argument: str) -> Callable[[], None]:
    match action:
        case "kill":
            return lambda: os.kill(os.getpid(), signal.SIGKILL)
        case "stop":
            return lambda: os.kill(os.getpid(), signal.SIGSTOP)
        case "exit":
            return lambda: os._exit(1)
        case "delay":
            seconds = float(argument) / 1000
            return lambda: time.sleep(seconds)
        case _:
            return _raiser(argument)


def _raiser(class_name: str) -> Callable[[], NoReturn]:
    error = getattr(builtins, class_name, None)
    if not (isinstance(error, type) and issubclass(error, BaseException)):
        raise ValueError(f"no exception of builtins: {class_name!r}")  # noqa: TRY004 (the text is wrong)

    def fail() -> NoReturn:
        raise error("failpoint")

    return fail


def _replace(failpoints: Mapping[str, Failpoint]) -> None:
    _armed.clear()
    _armed.update(failpoints)


_armed = parse(os.environ.get("M10_FAILPOINTS", "") if os.environ.get("M10_TESTING") == "1" else "")
