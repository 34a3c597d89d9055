"""The events that one leader has claimed, between it and the delivery workers."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from heapq import heappop, heappush
from math import inf

from m10actors.delivery import Event
from m10actors.recovery.lease import Tenure


class Turn:
    """Of one epoch. A worker takes the next event as soon as it is free, whatever the leader is at; nobody gets one
    while the lease cannot be trusted. Thread-safe.
    """

    def __init__(self, tenure: Tenure) -> None:
        self._tenure = tenure
        self._lock = threading.Lock()
        self._waiting: deque[Event] = deque()
        self._taken: dict[int, tuple[Event, str]] = {}
        self._due: list[float] = []  # when what was held is due again, on the monotonic clock; a heap

    @property
    def epoch(self) -> int:
        return self._tenure.epoch

    @property
    def waiting(self) -> int:
        """How many events no worker has yet."""
        return len(self._waiting)

    @property
    def taken(self) -> int:
        """How many events are with workers."""
        return len(self._taken)

    def put(self, events: Iterable[Event]) -> None:
        """Adds claimed events; one that is here already (its claim had become old) stays as it is."""
        with self._lock:
            here = self._taken.keys() | {event.id for event in self._waiting}
            self._waiting.extend(event for event in events if event.id not in here)

    def take(self, worker: str, batch_size: Callable[[Event], int]) -> list[Event]:
        """The next event, with others for its destination that may share its request; all are with this worker from
        now on. `batch_size`: how many may, itself included.
        """
        with self._lock:
            if not self._waiting or not self._tenure.is_trusted:
                return []
            taken = [self._waiting.popleft()]
            if (most := batch_size(taken[0])) > 1:
                to = taken[0].destination
                alike = [each for each in self._waiting if each.destination == to and batch_size(each) > 1]
                taken += alike[: most - 1]
                for each in taken[1:]:
                    self._waiting.remove(each)
            self._taken |= {each.id: (each, worker) for each in taken}
            return taken

    def came_back(self, event_id: int) -> bool:
        """Whether this event was with a worker until now."""
        with self._lock:
            return self._taken.pop(event_id, None) is not None

    def left_by(self, worker: str) -> list[Event]:
        """What this worker had taken and never came back with; it is with nobody from now on."""
        with self._lock:
            left = [event for event, at in self._taken.values() if at == worker]
            for event in left:
                del self._taken[event.id]
            return left

    def held_for(self, seconds: float) -> None:
        """An event was written as held for so long: somebody has to look for it then. For the leader alone."""
        heappush(self._due, time.monotonic() + seconds)

    def next_due(self, looked_at: float) -> float:
        """Seconds until something that was held is due; what was due at the last look does not count any more."""
        while self._due and self._due[0] <= looked_at:
            heappop(self._due)
        return self._due[0] - time.monotonic() if self._due else inf
