"""A token bucket as a value: of a rate limit, and of the budget of retries. Pure; times are seconds on one clock."""

from dataclasses import dataclass, replace
from typing import Self


@dataclass(frozen=True, slots=True)
class Bucket:
    """Holds up to `burst` tokens and gains `rate` of them a second."""

    rate: float
    burst: float
    level: float
    at: float

    @classmethod
    def full(cls, rate: float, burst: float, now: float) -> Self:
        return cls(rate, burst, burst, now)

    def filled(self, now: float) -> Self:
        """As it is at `now`."""
        gained = max(0.0, now - self.at) * self.rate
        return replace(self, level=min(self.burst, self.level + gained), at=max(now, self.at))

    def plus(self, tokens: float) -> Self:
        """With `tokens` more, or fewer."""
        return replace(self, level=min(self.burst, self.level + tokens))

    @property
    def wait(self) -> float:
        """Seconds until there is a whole token, 0 if there is one."""
        return max(0.0, 1 - self.level) / self.rate
