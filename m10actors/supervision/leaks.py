"""Threads that did not end when they had to. None can be killed: many are a reason to end the process."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from m10actors.supervision.link import Link


@dataclass(frozen=True, slots=True)
class Leaked:
    """A thread that runs on although the incarnation of `child_id` that it was is over, since then (monotonic)."""

    child_id: str
    thread: threading.Thread
    since: float


class Leaks:
    """The abandoned threads of one tree; `too_many` is called whenever more than `limit` of them run."""

    def __init__(self, limit: int | None = None, too_many: Callable[[int], None] = lambda _count: None) -> None:
        self.limit = limit
        self.abandoned_ever = 0
        self._too_many = too_many
        self._leaked: tuple[Leaked, ...] = ()
        self._lock = threading.Lock()

    @property
    def now(self) -> tuple[Leaked, ...]:
        """Those that still run; one that ends later is no leak any more."""
        return tuple(leaked for leaked in self._leaked if leaked.thread.is_alive())

    def of(self, child_id: str) -> int:
        """How many of them were incarnations of this child."""
        return sum(leaked.child_id == child_id for leaked in self.now)

    def add(self, link: "Link", since: float) -> bool:
        """One more, of that incarnation; False if it is known already."""
        with self._lock:
            if link.abandoned:
                return False
            link.abandoned = True
            self.abandoned_ever += 1
            if link.thread is not None:  # else it had not even come to say who it is
                self._leaked = (*self.now, Leaked(link.child_id, link.thread, since))
        if self.limit is not None and (count := len(self.now)) > self.limit:
            self._too_many(count)
        return True
