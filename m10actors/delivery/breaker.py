"""A circuit breaker as a value: when a destination that fails is left alone, and when it is tried again. Pure.

closed → open after `failures` in a row; open → half-open when its pause is over, for one attempt, which is a real event
(the probe); half-open → closed if that succeeds, else open again for twice as long. Times are seconds on one clock.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, Self


class State(StrEnum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Opens after `failures` in a row, for `pause` seconds, twice as long each time up to `longest`."""

    failures: int = 5
    pause: float = 5.0
    longest: float = 300.0


USUAL_THRESHOLDS: Final = Thresholds()


@dataclass(frozen=True, slots=True)
class Breaker:
    """`opened`: how often in a row it has opened. `until`: the end of the present pause, or of the wait for a probe."""

    state: State = State.CLOSED
    failures: int = 0
    opened: int = 0
    until: float = 0.0

    def wait(self, now: float) -> float:
        """Seconds until an attempt may be made, 0 if it may be now."""
        return 0.0 if self.state is State.CLOSED else max(0.0, self.until - now)

    def entered(self, now: float, longest_attempt: float) -> Self:
        """An attempt begins, which `wait` allowed. While it is a probe nobody else may pass, unless no word comes of it
        within `longest_attempt` seconds: its worker may have crashed.
        """
        if self.state is State.CLOSED:
            return self
        return replace(self, state=State.HALF_OPEN, until=now + longest_attempt)

    def succeeded(self, *, probe: bool) -> Self:
        """What began before it opened says nothing about now: only a probe closes it."""
        if self.state is State.CLOSED or probe:
            return type(self)()
        return self

    def failed(self, now: float, thresholds: Thresholds, *, probe: bool) -> Self:
        failures = self.failures + 1
        trips = self.state is State.CLOSED and failures >= thresholds.failures
        if not trips and not (probe and self.state is State.HALF_OPEN):
            return replace(self, failures=failures)
        return replace(self, failures=failures).tripped(now, thresholds)

    def tripped(self, now: float, thresholds: Thresholds) -> Self:
        """Open, whatever was before; each time in a row for twice as long."""
        pause = min(thresholds.longest, thresholds.pause * 2.0 ** min(self.opened, 30))
        return replace(self, state=State.OPEN, opened=self.opened + 1, until=now + pause)
