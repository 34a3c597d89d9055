"""Failures of a store as one actor meets them: how long to wait before asking again, and when to say so.

An outage is the matter of the store's monitor, which says so once for all and has those who need the store parked. What
is met here is shorter than its judgement, or concerns this actor alone: then it is said.
"""

import random
import time
from collections.abc import Callable

from m10actors import logs
from m10actors.postgres.errors import StoreDown
from m10actors.streams import Cause, RedisUnavailable

log = logs.logger(__name__)

TELL_AFTER = 10.0


class Outage:
    """Of one dependency as one actor meets it. Not thread-safe: it belongs to its actor. Times are in seconds."""

    def __init__(
        self, what: str, *, first: float = 0.05, longest: float = 1.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._what = what
        self._first = first
        self._longest = longest
        self._clock = clock
        self._began: float | None = None
        self._told = False
        self._tries = 0

    @property
    def is_on(self) -> bool:
        """Whether the last that was noted is a failure."""
        return self._began is not None

    def met(self, error: Exception) -> float:
        """Notes a failure; seconds until the next try (doubling to `longest`, jittered)."""
        now = self._clock()
        if self._began is None or _is_known(error):
            self._began = now
        elif not self._told and now - self._began >= TELL_AFTER:
            self._told = True
            log.warning("dependency_unavailable", dependency=self._what, error=str(error), tries=self._tries)
        self._tries += 1
        pause = min(self._longest, self._first * 2.0 ** min(self._tries - 1, 10))
        return float(pause * random.uniform(0.5, 1.0))  # noqa: S311 - jitter is no secret

    def over(self) -> None:
        """Notes a success."""
        if self._told and self._began is not None:
            seconds = round(self._clock() - self._began, 1)
            log.info("dependency_back", dependency=self._what, down_seconds=seconds, tries=self._tries)
        self._began, self._told, self._tries = None, False, 0


def _is_known(error: Exception) -> bool:
    """Whether the monitor has found it down."""
    return isinstance(error, StoreDown) or (isinstance(error, RedisUnavailable) and error.cause is Cause.KNOWN_DOWN)
