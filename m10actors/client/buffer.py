"""Lines in memory, up to so many bytes. Whoever puts one in is never kept waiting."""

import threading
from collections import deque
from collections.abc import Sequence


class Buffer:
    """Thread-safe. What was taken counts as held until it is `done` or given back."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._lines: deque[bytes] = deque()
        self._bytes = 0
        self._count = 0
        self._closed = False
        self._changed = threading.Condition(threading.Lock())

    @property
    def held(self) -> int:
        """Lines, with those that were taken and are not done."""
        return self._count

    def put(self, line: bytes) -> bool:
        """Whether there was room."""
        with self._changed:
            if self._closed or self._bytes + len(line) > self._max_bytes:
                return False
            self._lines.append(line)
            self._bytes += len(line)
            self._count += 1
            self._changed.notify()
            return True

    def take(self, most: int, wait: bool = False) -> list[bytes]:
        """The oldest lines; with `wait` once there are some. None are there any more after `close`."""
        with self._changed:
            if wait:
                self._changed.wait_for(lambda: self._lines or self._closed)
            return [self._lines.popleft() for _ in range(min(most, len(self._lines)))]

    def give_back(self, lines: Sequence[bytes]) -> None:
        """What was taken is taken again first."""
        with self._changed:
            self._lines.extendleft(reversed(lines))

    def done(self, lines: Sequence[bytes]) -> None:
        """What was taken is safe elsewhere."""
        with self._changed:
            self._count -= len(lines)
            self._bytes -= sum(map(len, lines))

    def close(self) -> None:
        """Takes nothing more and lets go of whoever waits."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def clear(self) -> int:
        """How many lines nobody took; they are gone."""
        left = self.take(len(self._lines))
        self.done(left)
        return len(left)
