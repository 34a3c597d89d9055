"""How long the holder of a lease may believe that it still holds it (docs/lease.md).

The database decides who holds a lock; between two answers the holder has only its own clock. A lease is trusted from
the moment at which the renewal was SENT, not answered: the database may have granted it at once and the answer been
slow. Trust ends a margin before the database would let another in. An error says nothing about the lease: it is no
renewal, and no loss.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum, auto
from typing import Self, assert_never


class Renewal(Enum):
    """The answer to an attempt to renew a lease."""

    RENEWED = auto()
    LOST = auto()
    UNKNOWN = auto()


@dataclass(frozen=True, slots=True)
class Terms:
    """`ttl_seconds`: what the database grants; `margin_seconds`: how long before its end the holder steps down."""

    ttl_seconds: float
    margin_seconds: float

    def __post_init__(self) -> None:
        if not 0 <= self.margin_seconds < self.ttl_seconds:
            raise ValueError(f"a lease of {self.ttl_seconds} s has no room for a margin of {self.margin_seconds} s")

    @classmethod
    def of(cls, ttl: timedelta) -> Self:
        """With a margin of a fifth of the ttl, at most 2 s."""
        seconds = ttl.total_seconds()
        return cls(seconds, margin_seconds=min(seconds / 5, 2.0))

    @property
    def ttl(self) -> timedelta:
        return timedelta(seconds=self.ttl_seconds)

    def trusted_until(self, attempt_started: float) -> float:
        """The end of trust, on the monotonic clock that `attempt_started` was read from."""
        return attempt_started + self.ttl_seconds - self.margin_seconds


@dataclass(frozen=True, slots=True)
class Lease:
    """A lease that was granted: its fencing `epoch`, and until when (monotonic seconds) it is trusted."""

    epoch: int
    trusted_until: float

    @classmethod
    def granted(cls, epoch: int, attempt_started: float, terms: Terms) -> "Lease":
        return cls(epoch, terms.trusted_until(attempt_started))

    def after(self, renewal: Renewal, attempt_started: float, terms: Terms) -> "Lease | None":
        """The lease after an attempt to renew it that began at `attempt_started`; None: it is lost, step down."""
        match renewal:
            case Renewal.RENEWED:
                return Lease(self.epoch, max(self.trusted_until, terms.trusted_until(attempt_started)))
            case Renewal.UNKNOWN:
                return self
            case Renewal.LOST:
                return None
            case _:
                assert_never(renewal)

    def is_trusted(self, now: float) -> bool:
        return now < self.trusted_until

    def remaining(self, now: float) -> float:
        """Seconds of trust that are left, at least 0: the longest that a protected step may take."""
        return max(0.0, self.trusted_until - now)


class Tenure:
    """One holder's time with a lock, in one epoch: its holder asks whether it can be trusted, another renews it.

    `holder` is the name in the database, `asker` the child to be told when it is over. Safe to use from any thread.
    `over` is set once it has ended, whoever ended it; nothing makes it begin again.
    """

    def __init__(
        self,
        lock: str,
        holder: str,
        lease: Lease,
        terms: Terms,
        *,
        asker: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.lock = lock
        self.holder = holder
        self.epoch = lease.epoch
        self.terms = terms
        self.asker = asker
        self.over = threading.Event()
        self._lease = lease
        self._clock = clock

    @property
    def is_trusted(self) -> bool:
        """Whether the holder may act on it now. What was once not trusted may be renewed, until it has ended."""
        return not self.over.is_set() and self._lease.is_trusted(self._clock())

    def answered(self, renewal: Renewal, attempt_started: float) -> None:
        """What came of an attempt to renew it. Lost, or in doubt for longer than it can be trusted, it is over."""
        lease = self._lease.after(renewal, attempt_started, self.terms)
        if lease is None or not lease.is_trusted(self._clock()):
            self.over.set()
        else:
            self._lease = lease

    def end(self) -> None:
        """The holder lets go."""
        self.over.set()
