"""How many attempts at one destination may be on their way at once: additive increase, multiplicative decrease. Pure.

As in TCP (RFC 5681) the window shrinks once for what was on its way together, not once for each of it.
"""

from dataclasses import dataclass, replace
from typing import Self

SLOW_FACTOR = 4.0
SLOW_LEAST = 0.25
"""An answer is slow that took longer than SLOW_FACTOR times the usual, and longer than this many seconds."""
_WEIGHT = 0.1
_DECREASE = 0.5


@dataclass(frozen=True, slots=True)
class Window:
    """`size` attempts at once, 1 to `ceiling`. `usual`: the moving average of their seconds, 0 before the first."""

    ceiling: int
    size: float
    usual: float = 0.0
    shrunk_at: float = float("-inf")

    @classmethod
    def of(cls, ceiling: int) -> Self:
        return cls(ceiling, float(ceiling))

    @property
    def slots(self) -> int:
        return int(self.size)

    def with_ceiling(self, ceiling: int) -> Self:
        """Under another configuration. A window that had not shrunk is as wide as it may be."""
        size = float(ceiling) if self.size >= self.ceiling else min(self.size, float(ceiling))
        return replace(self, ceiling=ceiling, size=size)

    def is_slow(self, seconds: float) -> bool:
        return self.usual > 0 and seconds > max(SLOW_LEAST, SLOW_FACTOR * self.usual)

    def after(self, began: float, now: float, *, overloaded: bool) -> Self:
        """After an attempt that began at `began`. `overloaded`: the receiver said so, or did not answer in time; how
        long that took says nothing about the usual.
        """
        seconds = max(0.0, now - began)
        usual = self.usual
        if not overloaded:
            usual = seconds if not usual else usual + _WEIGHT * (seconds - usual)
        if not overloaded and not self.is_slow(seconds):
            return replace(self, usual=usual, size=min(float(self.ceiling), self.size + 1 / self.size))
        if began < self.shrunk_at:
            return replace(self, usual=usual)
        return replace(self, usual=usual, size=max(1.0, self.size * _DECREASE), shrunk_at=now)
