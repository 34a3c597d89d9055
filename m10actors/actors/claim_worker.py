"""Evaluates what is due. Four sources (new entries, reclaimed entries, the fallback queue, the sweep) and one way to
process them.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from m10actors import logs, metrics
from m10actors.actors.messages import (
    DEAD_LETTER_ROUTER,
    OUTBOX_LEADER,
    RECLAIMER,
    STREAM_READER,
    Demand,
    Entries,
    GiveUp,
    Tick,
    Wake,
)
from m10actors.actors.outage import Outage
from m10actors.evaluation import Evaluated, Evaluator, Work
from m10actors.hints import Hints, overdue_after
from m10actors.postgres import evaluations as store
from m10actors.postgres.errors import DataRefused, StoreError
from m10actors.postgres.pool import Database
from m10actors.recovery.dependency import Dependency
from m10actors.streams import Entry, StreamMonitor, StreamQueue, StreamsError
from m10actors.supervision import Actor, Link
from m10actors.testing.failpoints import failpoint

log = logs.logger(__name__)

POLL = Tick("poll")
RETRY = Tick("retry")
ASK = Tick("ask")
ASK_AGAIN_SECONDS = 1.0
MOST_UNACKNOWLEDGED = 10_000


@dataclass(frozen=True, slots=True)
class Pace:
    """How much is taken at once, how long a taking is kept to oneself, how often the tables are asked, when something
    is given up.
    """

    batch_size: int
    batch_max: int
    lease: timedelta
    poll: timedelta
    sweep_after: timedelta
    max_attempts: int


@dataclass(frozen=True, slots=True)
class _Takings:
    """What was taken from the tables at once."""

    takings: Sequence[store.Taking]
    source: str


class ClaimWorker(Actor):
    """One batch at a time. While PostgreSQL is away the batch in hand waits, and nothing more is asked for."""

    def __init__(
        self, link: Link, worker: str, database: Database, queue: StreamQueue, monitor: StreamMonitor, hints: Hints,
        redis: Dependency, make_evaluator: Callable[[str], Evaluator], pace: Pace,
    ) -> None:  # fmt: skip
        super().__init__(link)
        self._name = f"{worker}/{self.child_id}"
        self._database = database
        self._queue = queue
        self._monitor = monitor
        self._hints = hints
        self._redis = redis
        self._evaluator = make_evaluator(self._name)
        self._pace = pace
        self._want = pace.batch_size
        self._in_hand: deque[Entries | _Takings] = deque()
        self._attempts: dict[tuple[int, int], int] = {}  # begun for the first batch in hand
        self._dealt_with: list[bytes] = []
        self._unacknowledged: list[bytes] = []
        self._losses_seen = 0  # a predecessor may have crashed before it had swept
        self._is_fresh = True
        self._is_unsure = True  # whether the tables may hold something for this worker that it does not know of
        self._outage = Outage("postgres")

    def on_begin(self) -> None:
        self.tick_in(0, POLL)

    def on_message(self, message: object) -> None:
        match message:
            case Entries():
                self._in_hand.append(message)
                self._work_or_wait(ask_tables=self._tables_are_the_way)
            case Tick("poll" | "retry"):
                self._work_or_wait(ask_tables=True)
            case Tick("ask") if self._tables_are_the_way:
                self._work_or_wait(ask_tables=True)
            case Tick("ask"):
                self._demand()

    def on_end(self) -> None:
        self._tell_sources(want=0)

    def _work_or_wait(self, *, ask_tables: bool) -> None:
        if self.stopping.is_set() and self._outage.is_on:
            return  # what is in hand is handed back by those who gave it
        try:
            self._work_off()
            if self._is_unsure:
                store.take_over(self._database, [self._name])  # a predecessor that crashed, or a reply that was lost
                self.tell_child(OUTBOX_LEADER, Wake())  # which may have published something
                self._is_unsure = False
            more = ask_tables and self._tables()
        except StoreError as error:  # weather, or a schema of another version: nothing is given up for that
            self._is_unsure = True
            self.tick_in(self._outage.met(error), RETRY)
            return
        self._outage.over()
        self._acknowledge()
        self._demand()
        self.tick_in(0 if more else self._pace.poll.total_seconds(), POLL)

    def _work_off(self) -> None:
        """What is in hand stays there until all of it is done, whatever else is down meanwhile."""
        while self._in_hand:
            match self._in_hand[0]:
                case Entries() as given:
                    self._entries(given)
                    self._dealt_with += [entry.entry_id for entry in given.entries]
                case _Takings(takings, source):
                    self._takings(takings, source)
            self._in_hand.popleft()
            self._attempts.clear()

    def _demand(self) -> None:
        """Repeated, because a source that crashed has forgotten it."""
        if self._is_unsure or self._in_hand:
            return
        self._tell_sources(self._want)
        self._is_fresh = False
        self.doing("idle")
        self.tick_in(ASK_AGAIN_SECONDS, ASK)

    def _tell_sources(self, want: int) -> None:
        demand = Demand(self.child_id, want, frozenset(self._dealt_with), self._is_fresh and want > 0)
        self._dealt_with.clear()
        for source in (STREAM_READER, RECLAIMER):
            self.tell_child(source, demand)

    # The stream

    def _entries(self, given: Entries) -> None:
        self.doing(f"evaluating {len(given.entries)} entries")
        metrics.CLAIMED.labels("reclaimed" if given.retaken else "stream").inc(len(given.entries))
        if given.retaken:
            for entry in given.entries:
                self._retaken_entry(entry)
            return
        self._batch([Work(entry.candidate_id, entry.generation, entry) for entry in given.entries], "stream")
        full = len(given.entries) >= self._want
        self._want = min(self._want * 2, self._pace.batch_max) if full else max(self._pace.batch_size, self._want // 2)

    def _retaken_entry(self, entry: Entry) -> None:
        """One by one, each attempt counted before it begins, so that a payload that kills the process is caught."""
        try:
            work = self._begun(entry)
        except DataRefused as error:  # its candidate cannot be read
            self._refused(Work(entry.candidate_id, entry.generation, entry), error)
            return
        if work is not None:
            self._batch([work], "reclaimed")

    def _begun(self, entry: Entry) -> Work | None:
        """The next attempt at an entry; None if none is to be made now."""
        given = store.inputs(self._database, [entry.candidate_id]).get(entry.candidate_id)
        generation = entry.generation or (given.candidate.generation if given else 0)
        if given is not None and given.evaluated_generation >= generation:
            self._unacknowledged.append(entry.entry_id)
            return None
        key = (entry.candidate_id, generation)
        if key not in self._attempts:  # else it was begun before PostgreSQL went away, and is not counted again
            self._attempts |= store.begin_attempts(self._database, self._name, [key], self._pace.lease)
        if key not in self._attempts:
            return None  # in somebody else's hands: it stays pending
        work = Work(entry.candidate_id, generation, entry, attempts=self._attempts[key])
        if work.attempts > self._pace.max_attempts:
            self._give_up(work, "too_many_attempts" if given else "candidate_not_found")
            return None
        return work

    # The tables: the fallback queue and the sweep

    def _tables(self) -> bool:
        """One batch of each; whether there may be more at once."""
        most, lease = self._pace.batch_max, self._pace.lease
        fallback = store.claim_fallback(self._database, self._name, most, lease)
        self._in_hand.append(_Takings(fallback, "fallback"))
        self._work_off()
        losses = self._redis.losses
        overdue = timedelta(0) if self._tables_are_the_way else self._overdue()
        swept: Sequence[store.Taking] = ()
        if overdue is not None:
            swept = store.claim_overdue(self._database, self._name, most, overdue, lease)
            self._in_hand.append(_Takings(swept, "sweep"))
            self._work_off()
        if not self._more_after(swept):
            self._losses_seen = losses
        return bool(fallback) or self._more_after(swept)

    @property
    def _tables_are_the_way(self) -> bool:
        """Redis is down, or has lost what it was told: then they are asked as often as the sources, for all that is
        due.
        """
        return self._redis.is_down or self._redis.losses != self._losses_seen

    def _more_after(self, takings: Sequence[store.Taking]) -> bool:
        """Of what was begun before, the tables give one at a time."""
        return len(takings) == self._pace.batch_max or any(taking.attempts > 1 for taking in takings)

    def _overdue(self) -> timedelta | None:
        """Older than this is in no entry of the stream; None if the stream cannot be asked now (its monitor decides
        what follows).
        """
        try:
            return overdue_after(self._pace.sweep_after, self._monitor.stats().oldest_entry_age)
        except StreamsError:
            return None

    def _takings(self, takings: Sequence[store.Taking], source: str) -> None:
        if not takings:
            return
        self.doing(f"evaluating {len(takings)} from the {source}")
        metrics.CLAIMED.labels(source).inc(len(takings))
        works = [Work(t.candidate_id, t.generation, None, t.work_id, t.attempts) for t in takings]
        self._batch([work for work in works if work.attempts == 1], source)
        for work in works:
            if work.attempts > self._pace.max_attempts:
                self._give_up(work, "too_many_attempts")
            elif work.attempts > 1:
                self._batch([work], source)

    # The one way

    def _batch(self, works: Sequence[Work], source: str) -> None:
        try:
            self._settle(self._evaluator.evaluate(works, source))
        except DataRefused as error:
            if len(works) > 1:  # one of them cannot be read or written: find it, and let the others through
                for work in works:
                    self._batch([work], source)
                return
            [work] = works
            self._refused(work, error)

    def _settle(self, result: Evaluated) -> None:
        failpoint("eval.before_ack")
        if result.published:
            self.tell_child(OUTBOX_LEADER, Wake())
        for work, reason in result.failed:
            if work.attempts >= self._pace.max_attempts:  # else it comes again when its lease has run out
                self._give_up(work, reason)
        self._unacknowledged += [work.entry.entry_id for work in result.finished if work.entry is not None]
        self._acknowledge()
        self._hints.send(result.due)

    def _refused(self, work: Work, error: DataRefused) -> None:
        log.error("evaluation_refused", candidate_id=work.candidate_id, error=str(error))
        self._give_up(work, f"store_refused: {error.sqlstate}")

    def _give_up(self, work: Work, reason: str) -> None:
        self.tell_child(
            DEAD_LETTER_ROUTER,
            GiveUp(reason, work.candidate_id, work.generation, work.entry, work.attempts, claimed_by=self._name),
        )

    def _acknowledge(self) -> None:
        """Clean-up after a commit: what cannot be acknowledged now is later, and what never is is found done when it
        is reclaimed.
        """
        if not self._unacknowledged:
            return
        try:
            self._queue.finish(self._unacknowledged)
        except StreamsError:
            del self._unacknowledged[:-MOST_UNACKNOWLEDGED]
        else:
            self._unacknowledged.clear()
            failpoint("eval.after_ack")
