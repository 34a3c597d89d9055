"""Weather in one actor: logged once when it begins and once when it ends, and how long to wait before asking again."""

import random
import time

from m10actors import logs

log = logs.logger(__name__)


class Outage:
    """Of one dependency as one actor meets it. Not thread-safe: it belongs to its actor."""

    def __init__(self, what: str, *, first: float = 0.05, longest: float = 1.0) -> None:
        self._what = what
        self._first = first
        self._longest = longest
        self._began: float | None = None
        self._tries = 0

    @property
    def is_on(self) -> bool:
        """Whether the last that was noted is a failure."""
        return self._began is not None

    def met(self, error: Exception) -> float:
        """Notes a failure; seconds until the next try (doubling to `longest`, jittered)."""
        if self._began is None:
            self._began = time.monotonic()
            log.warning("dependency_unavailable", dependency=self._what, error=str(error))
        self._tries += 1
        pause = min(self._longest, self._first * 2.0 ** min(self._tries - 1, 10))
        return float(pause * random.uniform(0.5, 1.0))  # noqa: S311 - jitter is no secret

    def over(self) -> None:
        """Notes a success."""
        if self._began is not None:
            log.info(
                "dependency_back",
                dependency=self._what,
                down_seconds=round(time.monotonic() - self._began, 1),
                tries=self._tries,
            )
            self._began = None
            self._tries = 0
