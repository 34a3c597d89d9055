"""How often somebody may ask: token buckets, one for each name, kept in memory."""

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

_MOST_REMEMBERED: Final = 4096


class Buckets:
    """A token bucket for each key: `burst` at once, `rate` a second in the long run.

    Remembers the keys that asked last; one that was forgotten begins with a full bucket. Belongs to one event loop.
    """

    def __init__(self, rate: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._burst = burst
        self._clock = clock
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, key: str) -> float:
        """0 where the request may be made, which takes one out of the bucket; else the seconds until it may."""
        now = self._clock()
        level, at = self._levels.pop(key, (float(self._burst), now))
        level = min(self._burst, level + (now - at) * self._rate)
        allowed = level >= 1
        self._levels[key] = (level - 1 if allowed else level, now)
        if len(self._levels) > _MOST_REMEMBERED:
            self._levels.popitem(last=False)
        return 0.0 if allowed else (1 - level) / self._rate

    def give_back(self, key: str) -> None:
        """The request was none that counts after all."""
        if key in self._levels:
            level, at = self._levels[key]
            self._levels[key] = (level + 1, at)
