"""Evaluates what is due. Four sources (new entries, reclaimed entries, the fallback queue, the sweep) and one way to
process them.
"""

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
from m10actors.postgres.errors import StoreRefused, StoreUnavailable
from m10actors.postgres.pool import Database
from m10actors.recovery.dependency import Dependency
from m10actors.streams import Entry, StreamMonitor, StreamQueue, StreamsError
from m10actors.supervision import Actor, Link
from m10actors.testing.failpoints import failpoint

log = logs.logger(__name__)

POLL = Tick("poll")
RETRY = Tick("retry")
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
        self._waiting: list[Entries] = []
        self._unacknowledged: list[bytes] = []
        self._losses_seen = redis.losses
        self._is_fresh = True
        self._outage = Outage("postgres")

    def on_begin(self) -> None:
        self.tick_in(0, POLL)

    def on_message(self, message: object) -> None:
        match message:
            case Entries():
                self._waiting.append(message)
                self._work_or_wait()
            case Tick("poll" | "retry"):
                self._work_or_wait()

    def on_end(self) -> None:
        for source in (STREAM_READER, RECLAIMER):
            self.tell_child(source, Demand(self.child_id, 0))

    def _work_or_wait(self) -> None:
        try:
            if self._is_fresh:
                store.take_over(self._database, [self._name])  # what this worker had in hand when it crashed
            while self._waiting:
                self._entries(self._waiting[0])
                self._waiting.pop(0)
            more = self._tables()
        except StoreUnavailable as error:
            self.tick_in(self._outage.met(error), RETRY)
            return
        self._outage.over()
        self._acknowledge()
        self._demand()
        self.tick_in(0 if more else self._poll_seconds(), POLL)

    def _poll_seconds(self) -> float:
        """Without Redis the tables are the only way, and are asked at least every second."""
        seconds = self._pace.poll.total_seconds()
        return min(seconds, 1.0) if self._redis.is_down else seconds

    def _demand(self) -> None:
        for source in (STREAM_READER, RECLAIMER):
            self.tell_child(source, Demand(self.child_id, self._want, fresh=self._is_fresh))
        self._is_fresh = False
        self.doing("idle")

    # The stream

    def _entries(self, given: Entries) -> None:
        self.doing(f"evaluating {len(given.entries)} entries")
        if given.retaken:
            metrics.CLAIMED.labels("reclaimed").inc(len(given.entries))
            for entry in given.entries:
                self._retaken_entry(entry)
            return
        metrics.CLAIMED.labels("stream").inc(len(given.entries))
        self._batch([Work(entry.candidate_id, entry.generation, entry) for entry in given.entries], "stream")
        full = len(given.entries) >= self._want
        self._want = min(self._want * 2, self._pace.batch_max) if full else max(self._pace.batch_size, self._want // 2)

    def _retaken_entry(self, entry: Entry) -> None:
        """One by one, each attempt counted before it begins, so that a payload that kills the process is caught."""
        given = store.inputs(self._database, [entry.candidate_id]).get(entry.candidate_id)
        generation = entry.generation or (given.candidate.generation if given else 0)
        if given is not None and given.evaluated_generation >= generation:
            self._unacknowledged.append(entry.entry_id)
            return
        begun = store.begin_attempts(self._database, self._name, [(entry.candidate_id, generation)], self._pace.lease)
        attempts = begun.get((entry.candidate_id, generation))
        if attempts is None:
            return  # in somebody else's hands: it stays pending
        if attempts > self._pace.max_attempts:
            reason = "too_many_attempts" if given else "candidate_not_found"
            self.tell_child(DEAD_LETTER_ROUTER, GiveUp(reason, entry.candidate_id, generation, entry, attempts))
            return
        self._batch([Work(entry.candidate_id, generation, entry, attempts=attempts)], "reclaimed")

    # The tables: the fallback queue and the sweep

    def _tables(self) -> bool:
        """One batch of each; whether there may be more at once."""
        fallback = store.claim_fallback(self._database, self._name, self._pace.batch_max, self._pace.lease)
        self._takings(fallback, "fallback")
        losses = self._redis.losses
        sweep_all = self._redis.is_down or losses != self._losses_seen
        overdue = timedelta(0) if sweep_all else self._overdue()
        swept: Sequence[store.Taking] = ()
        if overdue is not None:
            swept = store.claim_overdue(self._database, self._name, self._pace.batch_max, overdue, self._pace.lease)
            self._takings(swept, "sweep")
        if not swept:
            self._losses_seen = losses
        return bool(fallback or swept)

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
        for taking in (taking for taking in takings if taking.attempts > self._pace.max_attempts):
            self.tell_child(
                DEAD_LETTER_ROUTER,
                GiveUp("too_many_attempts", taking.candidate_id, taking.generation, attempts=taking.attempts),
            )
        works = [
            Work(t.candidate_id, t.generation, None, t.work_id, t.attempts)
            for t in takings
            if t.attempts <= self._pace.max_attempts
        ]
        self._batch([work for work in works if work.attempts == 1], source)
        for work in works:
            if work.attempts > 1:
                self._batch([work], source)

    # The one way

    def _batch(self, works: Sequence[Work], source: str) -> None:
        try:
            self._settle(self._evaluator.evaluate(works, source))
        except StoreRefused as error:
            if len(works) > 1:  # one of them cannot be read or written: find it, and let the others through
                for work in works:
                    self._batch([work], source)
                return
            [work] = works
            log.error("evaluation_refused", candidate_id=work.candidate_id, error=str(error))
            reason = f"store_refused: {error.sqlstate}"
            self.tell_child(
                DEAD_LETTER_ROUTER, GiveUp(reason, work.candidate_id, work.generation, work.entry, work.attempts)
            )

    def _settle(self, result: Evaluated) -> None:
        failpoint("eval.before_ack")
        if result.published:
            self.tell_child(OUTBOX_LEADER, Wake())
        self._unacknowledged += [work.entry.entry_id for work in result.finished if work.entry is not None]
        self._acknowledge()
        self._hints.send(result.due)

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
