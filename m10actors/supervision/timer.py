"""Ticks: messages that an actor sends to itself later. One thread for the whole tree."""

import heapq
import itertools
import threading
import time
from collections.abc import Hashable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from m10actors.supervision.link import Link

_LONGEST_WAIT = 3600.0
_STALE_ALLOWED = 64


class Timer:
    """Delivers each tick to the incarnation that asked for it, or to nobody."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._due: dict[Link, dict[Hashable, tuple[float, int]]] = {}
        self._heap: list[tuple[float, int, Link, Hashable]] = []
        self._sequence = itertools.count()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="timer", daemon=True)
        self._thread.start()

    def tick_in(self, link: "Link", seconds: float, message: Hashable) -> None:
        """Delivers `message` to `link` in `seconds`; of equal messages that wait for one link the earliest stands."""
        at = time.monotonic() + max(0.0, seconds)
        with self._changed:
            waiting = self._due.setdefault(link, {})
            if message in waiting and waiting[message][0] <= at:
                return
            number = next(self._sequence)
            waiting[message] = (at, number)
            heapq.heappush(self._heap, (at, number, link, message))
            self._drop_stale()
            if self._heap[0][1] == number:
                self._changed.notify()

    def cancel(self, link: "Link") -> None:
        """Forgets every tick of this incarnation."""
        with self._changed:
            self._due.pop(link, None)

    def close(self) -> None:
        """Ends the thread; ticks that wait are forgotten."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while (tick := self._next()) is not None:
            link, message = tick
            link.deliver(message)

    def _next(self) -> "tuple[Link, Hashable] | None":
        """Waits for the next tick and takes it; None when closed."""
        with self._changed:
            while not self._closed:
                now = time.monotonic()
                if not self._heap or self._heap[0][0] > now:
                    self._changed.wait(min(self._heap[0][0] - now, _LONGEST_WAIT) if self._heap else None)
                    continue
                _, number, link, message = heapq.heappop(self._heap)
                if self._is_current(link, message, number):
                    self._forget(link, message)
                    return link, message
            return None

    def _is_current(self, link: "Link", message: Hashable, number: int) -> bool:
        waiting = self._due.get(link, {})
        return message in waiting and waiting[message][1] == number

    def _forget(self, link: "Link", message: Hashable) -> None:
        del self._due[link][message]
        if not self._due[link]:
            del self._due[link]

    def _drop_stale(self) -> None:
        """Rebuilds the heap once most of it is ticks that were moved or cancelled, so that it cannot grow for ever."""
        if len(self._heap) > _STALE_ALLOWED + 2 * sum(map(len, self._due.values())):
            self._heap = [entry for entry in self._heap if self._is_current(entry[2], entry[3], entry[1])]
            heapq.heapify(self._heap)
