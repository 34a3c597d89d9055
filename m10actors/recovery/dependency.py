"""The state of one dependency (PostgreSQL, Redis), kept by its monitor, the one judge, and obeyed by everybody."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum


class Condition(StrEnum):
    """UNKNOWN until the first probe. DEGRADED: it answers and takes nothing new (a full Redis); what it holds can be
    worked off, which may be the cure.
    """

    UNKNOWN = "unknown"
    UP = "up"
    DEGRADED = "degraded"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class Hysteresis:
    """How many probes in a row that speak against it change the condition: `failures` that of what is up, `successes`
    any other.
    """

    failures: int = 2
    successes: int = 1


@dataclass(frozen=True, slots=True)
class Health:
    """A condition, since when (monotonic seconds), why, and the probes in a row that speak against it."""

    condition: Condition = Condition.UNKNOWN
    since: float = 0.0
    reason: str = ""
    against: int = 0


def judge(health: Health, seen: Condition, reason: str, now: float, rule: Hysteresis) -> Health:
    """The health after a probe that found it in the condition `seen`, for this reason (empty: it is up)."""
    if health.condition is seen:
        return replace(health, against=0, reason=reason)
    needed = rule.failures if health.condition is Condition.UP else rule.successes
    if health.condition is Condition.UNKNOWN or health.against + 1 >= needed:
        return Health(seen, now, reason)
    return replace(health, against=health.against + 1)


class Dependency:
    """One dependency as all threads see it: prober and breaker in one.

    Only its monitor calls `observe`. Those who use it ask nothing of it while it `is_down`, and say so when they could
    not use it (`suspect`), so that the monitor looks sooner than it would have. Anyone may report that its state was
    lost.
    """

    def __init__(self, name: str, rule: Hysteresis | None = None) -> None:
        self.name = name
        self._rule = rule or Hysteresis()
        self._lock = threading.Lock()
        self._health = Health()
        self._losses = 0
        self._made_good = 0
        self._listeners: list[Callable[[Health], None]] = []
        self._look_soon: Callable[[], None] = lambda: None

    @property
    def health(self) -> Health:
        return self._health

    @property
    def is_down(self) -> bool:
        """Known to be down. While unknown it is tried: a failed attempt costs its timeout, not a lost message."""
        return self._health.condition is Condition.DOWN

    @property
    def takes_nothing(self) -> bool:
        """Known to take nothing new: down or degraded."""
        return self._health.condition in {Condition.DOWN, Condition.DEGRADED}

    @property
    def losses(self) -> int:
        """How often it was seen to have lost its data."""
        return self._losses

    @property
    def has_lost(self) -> bool:
        """Whether it has lost data that was not made good since."""
        return self._losses != self._made_good

    def observe(self, failure: str | None, now: float, *, answers: bool = False) -> tuple[Health, Health]:
        """Judges a probe that failed (None: it did not), though the dependency `answers`; the health before and after.
        Who has subscribed is told of another condition.
        """
        seen = Condition.UP if failure is None else Condition.DEGRADED if answers else Condition.DOWN
        with self._lock:
            before = self._health
            after = self._health = judge(before, seen, failure or "", now, self._rule)
            if before.condition is not after.condition:
                for hear in self._listeners:
                    hear(after)
            return before, after

    def subscribe(self, hear: Callable[[Health], None]) -> None:
        """Tells `hear` the health at once, if it is known, and at every change of the condition, in their order. It is
        called in the thread of the monitor and must return at once.
        """
        with self._lock:  # against a change between the first word and the subscription, which would go unheard
            self._listeners.append(hear)
            if self._health.condition is not Condition.UNKNOWN:
                hear(self._health)

    def watched_by(self, look_soon: Callable[[], None]) -> None:
        """The monitor: it is asked to look soon when somebody could not use the dependency."""
        self._look_soon = look_soon

    def suspect(self) -> None:
        """Somebody could not use it. The monitor judges; that it is down it knows already."""
        if not self.is_down:
            self._look_soon()

    def lost_state(self) -> None:
        """Its data is gone (flushed, restarted empty, restored): what it was told before has to be told again."""
        with self._lock:
            self._losses += 1

    def made_good(self, losses: int) -> None:
        """All that it had been told before the last of so many losses was found elsewhere."""
        with self._lock:
            self._made_good = max(self._made_good, losses)
