"""Whether one destination may take an event now: breaker, concurrency, rate and retry budget together. Pure."""

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Final, Self

from m10actors.delivery.breaker import USUAL_THRESHOLDS, Breaker, State, Thresholds
from m10actors.delivery.bucket import Bucket
from m10actors.delivery.concurrency import Window
from m10actors.delivery.outcome import Dead, Delivered, Held, Outcome, ReceiverAhead, Retry

RETRY_RESERVE = 10.0
RETRY_RATE = 1.0
"""Retries that are allowed whatever the share: so many at once, and so many a second in the long run."""
LEAST_PAUSE = 2.0
"""Seconds for which an event waits at least, where the breaker is open."""
_LEAST_WAIT, _LONGEST_WAIT = 0.05, 300.0
_GUESS = 0.05
_OVERLOADED = frozenset({429, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one destination.

    `concurrency`: attempts on their way at once, at most. `rate`: attempts a second (None: no limit). `retry_share`:
    retries for each first attempt. `breaker`: when it opens and for how long.
    """

    concurrency: int = 10
    rate: float | None = None
    retry_share: float = 0.2
    breaker: Thresholds = USUAL_THRESHOLDS


USUAL_LIMITS: Final = Limits()


@dataclass(frozen=True, slots=True)
class Pass:
    """The attempt may be made; it began at `at`. `probe`: its outcome decides about the breaker. `budgeted`: it took a
    retry out of the budget.
    """

    at: float
    probe: bool
    budgeted: bool = False


@dataclass(frozen=True, slots=True)
class Valve:
    """Immutable: each step gives the next valve. `next_slot` spreads those that were sent back over the time in which
    the destination can take them, so that they do not come again all at once. `heard`: when the last attempt ended, or
    the first of those that are on their way began. `asked_until`: until when the receiver wants to be left alone.
    """

    limits: Limits
    window: Window
    retries: Bucket
    rate: Bucket | None
    breaker: Breaker = field(default_factory=Breaker)
    on_way: int = 0
    next_slot: float = 0.0
    heard: float = 0.0
    asked_until: float = 0.0

    @classmethod
    def of(cls, limits: Limits, now: float) -> Self:
        return cls(
            limits, Window.of(limits.concurrency), Bucket.full(RETRY_RATE, RETRY_RESERVE, now), _rate(limits, now)
        )

    def under(self, limits: Limits, now: float) -> Self:
        """Under other limits, with what it has learned."""
        if limits == self.limits:
            return self
        window = self.window.with_ceiling(limits.concurrency)
        rate = self.rate if limits.rate == self.limits.rate else _rate(limits, now)
        return replace(self, limits=limits, window=window, rate=rate)

    def closed_for(self, now: float) -> Held | None:
        """Why it takes nothing now, not even a first attempt, and for how long; None if it does."""
        if seconds := self.breaker.wait(now):
            probing = self.breaker.state is State.HALF_OPEN  # and that may be over at any moment
            return Held("breaker_open", LEAST_PAUSE if probing else seconds)
        if now < self.asked_until:
            return Held("retry_after", self.asked_until - now)
        if self.on_way >= self.window.slots:
            return Held("busy", self._turn(now))
        if self.rate is not None and (seconds := self.rate.filled(now).wait):
            return Held("rate_limited", seconds)
        return None

    def admit(self, now: float, longest_attempt: float, *, is_retry: bool) -> tuple[Self, Pass | Held]:
        """Decides on an event whose attempt would take up to `longest_attempt` seconds."""
        retries = self.retries.filled(now)
        probe = self.breaker.state is not State.CLOSED
        budgeted = is_retry and not probe
        closed = self.closed_for(now)
        if closed is None and budgeted and retries.wait:
            closed = Held("retry_budget", retries.wait)
        if closed is not None:
            return self.refuse(closed, now)
        entered = replace(
            self,
            breaker=self.breaker.entered(now, longest_attempt),
            retries=retries.plus(-1 if budgeted else 0 if is_retry else self.limits.retry_share),
            rate=self.rate.filled(now).plus(-1) if self.rate is not None else None,
            on_way=self.on_way + 1,
            next_slot=now,
            heard=self.heard if self.on_way else now,
        )
        return entered, Pass(now, probe, budgeted)

    def refuse(self, closed: Held, now: float) -> tuple[Self, Held]:
        """The n-th that is sent back waits for n turns more than the first."""
        slot = max(self.next_slot, now + closed.seconds)
        least = LEAST_PAUSE if closed.why == "breaker_open" else _LEAST_WAIT
        wait = min(max(slot - now, least), _LONGEST_WAIT)
        return replace(self, next_slot=slot + self._turn(now)), Held(closed.why, wait)

    def left(self, passed: Pass, outcome: Outcome, now: float) -> Self:
        """The attempt came to `outcome`. A retry that is delivered gives back what it took of the budget, which is
        there for those that are in vain.
        """
        window = self.window
        if not (isinstance(outcome, Retry) and not outcome.counted):  # what was not reached was not slow either
            window = window.after(passed.at, now, overloaded=_is_overloaded(outcome))
        if isinstance(outcome, Dead) and outcome.pause_destination:  # what else is in hand need not hear the same
            breaker = self.breaker.tripped(now, self.limits.breaker)
        elif _is_failure(outcome):
            breaker = self.breaker.failed(now, self.limits.breaker, probe=passed.probe)
        else:
            breaker = self.breaker.succeeded(probe=passed.probe)
        retries = self.retries.plus(1) if passed.budgeted and isinstance(outcome, Delivered) else self.retries
        return replace(
            self,
            window=window,
            breaker=breaker,
            retries=retries,
            on_way=max(0, self.on_way - 1),
            heard=now,
            asked_until=max(self.asked_until, now + _asked_for(outcome)),
        )

    def abandoned(self) -> Self:
        """The attempt ended without a word: nothing is known of it but that its slot is free."""
        return replace(self, on_way=max(0, self.on_way - 1))

    def _turn(self, now: float) -> float:
        """Seconds between two slots at the present pace; one that has been silent for a while may be so for as long."""
        silent = now - self.heard if self.on_way else 0.0
        pace = max(self.window.usual or _GUESS, silent) / self.window.slots
        return pace if self.limits.rate is None else max(pace, 1 / self.limits.rate)


def _rate(limits: Limits, now: float) -> Bucket | None:
    return None if limits.rate is None else Bucket.full(limits.rate, max(1.0, limits.rate), now)


def _asked_for(outcome: Outcome) -> float:
    """Seconds for which the receiver wants no request at all (Retry-After: RFC 9110, 10.2.3; for 429 RFC 6585, 4). One
    that asks for very long is asked again after the longest wait.
    """
    match outcome:
        case Retry(retry_after=timedelta() as asked):
            return min(asked.total_seconds(), _LONGEST_WAIT)
        case _:
            return 0.0


def _is_failure(outcome: Outcome) -> bool:
    """Whether it says that the destination as a whole is out of order: no answer, or one of 5xx."""
    match outcome:
        case Retry(status=status):
            return status is None or status >= 500
        case Dead(status=status):
            return status is None
        case Delivered() | ReceiverAhead():
            return False


def _is_overloaded(outcome: Outcome) -> bool:
    match outcome:
        case Retry(error="deadline"):
            return True
        case Retry(status=status):
            return status in _OVERLOADED
        case _:
            return False
