"""What is due by the tables of PostgreSQL, whatever the stream tells: the fallback queue holds the hints that Redis did
not take, the sweep finds what no entry tells of.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from m10actors.hints import LONGEST_BACKLOG, Hints, overdue_after
from m10actors.postgres import evaluations as store
from m10actors.postgres.evaluations import Taking
from m10actors.postgres.pool import Database
from m10actors.recovery.dependency import Dependency
from m10actors.streams import StreamMonitor, StreamsError


@dataclass(frozen=True, slots=True)
class Taken:
    """What was taken from one table at once, under a lease. `more`: whether there may be more now."""

    takings: Sequence[Taking]
    source: str
    more: bool


class Tables:
    """As one worker takes from them, `most` of each at once; what waits for one of `evaluators` is left alone."""

    def __init__(
        self,
        database: Database,
        worker: str,
        monitor: StreamMonitor,
        redis: Dependency,
        hints: Hints,
        most: int,
        lease: timedelta,
        sweep_after: timedelta,
        evaluators: Callable[[], Sequence[str]] = tuple,
    ) -> None:
        self._database = database
        self._worker = worker
        self._monitor = monitor
        self._redis = redis
        self._hints = hints
        self._fallbacks = hints.fallbacks
        self._most = most
        self._lease = lease
        self._sweep_after = sweep_after
        self._evaluators = evaluators

    @property
    def stand_in(self) -> bool:
        """For the stream: Redis takes nothing, or has lost what it was told. Then they are to be asked as often as the
        stream would be, and the sweep finds all that is due.
        """
        return self._redis.takes_nothing or self._redis.has_lost

    @property
    def are_due(self) -> bool:
        """Whether they are to be asked now, whenever their next turn is: as a stand-in for the stream, or because this
        process has put something into the fallback queue.
        """
        return self.stand_in or self._hints.fallbacks != self._fallbacks

    def take(self) -> Iterator[Taken]:
        """One batch of each, the next when the one before is worked off. StoreError: what was taken is unknown."""
        self._fallbacks = self._hints.fallbacks  # before the look: what comes during it is looked for again
        fallback = store.claim_fallback(self._database, self._worker, self._most, self._lease, self._evaluators())
        yield Taken(fallback, "fallback", more=bool(fallback))
        losses = self._redis.losses  # before the sweep: what is lost during it may be missing from it
        swept = self._sweep()
        more = _may_be_more(swept, self._most)
        yield Taken(swept, "sweep", more)
        if not more:
            self._redis.made_good(losses)

    def _sweep(self) -> Sequence[Taking]:
        """What no entry of the stream tells of; nothing if the stream cannot be asked now (its monitor decides what
        follows).
        """
        if self.stand_in:
            return self._claim(timedelta(0), ())
        try:
            head = self._monitor.head()
        except StreamsError:
            return ()
        return self._claim(overdue_after(self._sweep_after, head), head.told)

    def _claim(self, overdue: timedelta, told: Sequence[int]) -> Sequence[Taking]:
        return store.claim_overdue(
            self._database, self._worker, self._most, overdue, self._lease, self._evaluators(), told, LONGEST_BACKLOG
        )


def _may_be_more(swept: Sequence[Taking], most: int) -> bool:
    """Of what was begun before, the sweep gives one at a time."""
    return len(swept) == most or any(taking.attempts > 1 for taking in swept)
