"""Waiting for an event instead of for time."""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def eventually(check: Callable[[], T], within: float = 10.0, every: float = 0.01) -> T:
    """The first truthy value of `check()`, asked every `every` seconds; AssertionError after `within` seconds."""
    deadline = time.monotonic() + within
    pause = threading.Event()
    while True:
        value = check()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within} s: {check!r} gave {value!r} at last")
        pause.wait(every)
