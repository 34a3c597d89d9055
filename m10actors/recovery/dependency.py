"""The state of one dependency (PostgreSQL, Redis), kept by its monitor, the one judge, and read by everybody."""

import threading
from dataclasses import dataclass, replace
from enum import StrEnum


class Condition(StrEnum):
    """UNKNOWN until the first probe. DOWN after `Hysteresis.failures` failed probes in a row, UP after `successes`
    good ones.
    """

    UNKNOWN = "unknown"
    UP = "up"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class Hysteresis:
    """How many probes of the other kind, in a row, change the condition."""

    failures: int = 2
    successes: int = 1


@dataclass(frozen=True, slots=True)
class Health:
    """A condition, since when (monotonic seconds), why, and the probes in a row that speak against it."""

    condition: Condition = Condition.UNKNOWN
    since: float = 0.0
    reason: str = ""
    against: int = 0


def judge(health: Health, failure: str | None, now: float, rule: Hysteresis) -> Health:
    """The health after a probe; `failure` says why it failed (None: it succeeded)."""
    wanted, needed = (Condition.UP, rule.successes) if failure is None else (Condition.DOWN, rule.failures)
    if health.condition is wanted:
        return replace(health, against=0, reason=failure or "")
    if health.condition is Condition.UNKNOWN or health.against + 1 >= needed:
        return Health(wanted, now, failure or "")
    return replace(health, against=health.against + 1)


class Dependency:
    """One dependency as all threads see it. Only its monitor calls `observe`; anyone may report that its state was
    lost.
    """

    def __init__(self, name: str, rule: Hysteresis | None = None) -> None:
        self.name = name
        self._rule = rule or Hysteresis()
        self._lock = threading.Lock()
        self._health = Health()
        self._losses = 0

    @property
    def health(self) -> Health:
        return self._health

    @property
    def is_down(self) -> bool:
        """Known to be down. While unknown it is tried: a failed attempt costs its timeout, not a lost message."""
        return self._health.condition is Condition.DOWN

    @property
    def losses(self) -> int:
        """How often it was seen to have lost its data: a number that changed since the last look means once more."""
        return self._losses

    def observe(self, failure: str | None, now: float) -> tuple[Health, Health]:
        """Judges a probe; the health before and after."""
        with self._lock:
            before = self._health
            self._health = judge(before, failure, now, self._rule)
            return before, self._health

    def lost_state(self) -> None:
        """Its data is gone (flushed, restarted empty, restored): what it was told before has to be told again."""
        with self._lock:
            self._losses += 1
