"""Evaluates what is due. Four sources (new entries, reclaimed entries, the fallback queue, the sweep) and one way to
process them.
"""

import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from m10actors import metrics
from m10actors.actors.acknowledgements import Acknowledgements
from m10actors.actors.attempts import Attempts
from m10actors.actors.messages import OUTBOX_LEADER, RECLAIMER, STREAM_READER, Demand, Entries, Tick, Wake
from m10actors.actors.outage import Outage
from m10actors.actors.processor import Processor
from m10actors.actors.tables import Tables, Taken
from m10actors.evaluation import Evaluation, Work
from m10actors.hints import Hints
from m10actors.postgres import evaluations as store
from m10actors.postgres import inputs
from m10actors.postgres.errors import DataRefused, StoreError
from m10actors.postgres.pool import Database
from m10actors.recovery.dependency import Dependency
from m10actors.streams import Entry, StreamMonitor, StreamQueue
from m10actors.supervision import Actor, Link

BEGIN = Tick("begin")
POLL = Tick("poll")
RETRY = Tick("retry")
ASK = Tick("ask")
AGAIN = Tick("again")
ASK_AGAIN_SECONDS = 1.0


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

    def next_want(self, want: int, given: int) -> int:
        """How many entries are wanted after so many were given: twice as many after a full batch, else half as many."""
        return min(want * 2, self.batch_max) if given >= want else max(self.batch_size, want // 2)


@dataclass(frozen=True, slots=True)
class _Again:
    """Entries that somebody else had in hand a while ago."""

    entries: Sequence[Entry]


class ClaimWorker(Actor):
    """One batch at a time. While PostgreSQL is away the batch in hand waits, and nothing more is asked for. A `spare`
    one asks no tables: it is there for entries that would else wait until another has written.
    """

    def __init__(
        self, link: Link, worker: str, database: Database, queue: StreamQueue, monitor: StreamMonitor, hints: Hints,
        redis: Dependency, make_evaluation: Callable[[str], Evaluation], pace: Pace, *, spare: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(link)
        self._name = name = f"{worker}/{self.child_id}"
        self._database = database
        self._pace = pace
        self._is_spare = spare
        evaluation = make_evaluation(name)
        self._tables = Tables(
            database, name, monitor, redis, hints, pace.batch_max, pace.lease, pace.sweep_after, evaluation.leased
        )
        self._attempts = Attempts(database, name, pace.lease, evaluation.leased)  # at the first batch in hand
        self._acknowledgements = Acknowledgements(queue)
        self._processor = Processor(
            self, name, evaluation, self._attempts, self._acknowledgements, hints, pace.max_attempts
        )
        self._in_hand: deque[Entries | Taken | _Again] = deque()
        self._elsewhere: list[Entry] = []
        self._dealt_with: list[bytes] = []
        self._want = pace.batch_size
        self._told = 0
        self._is_fresh = True
        self._is_unsure = True  # whether the tables may hold something for this worker that it does not know of
        self._outage = Outage("postgres")

    def on_begin(self) -> None:
        # What killed the process lies first in the tables. One worker alone asks them at once, so that nothing that
        # another had just begun is charged with it when it kills again.
        is_first = self.child_id.endswith(".1") and not self._is_spare
        self.tick_in(0, POLL if is_first else BEGIN)

    def on_message(self, message: object) -> None:
        match message:
            case Entries():
                self._in_hand.append(message)
                self._work_or_wait(ask_tables=self._tables.are_due)
            case Tick("begin"):
                self._work_or_wait(ask_tables=False)
            case Tick("poll" | "retry"):
                self._work_or_wait(ask_tables=True)
            case Tick("again"):
                self._in_hand.append(_Again(tuple(self._elsewhere)))
                self._elsewhere.clear()
                self._work_or_wait(ask_tables=False)
            case Tick("ask"):
                self._told = 0  # a source that crashed has forgotten it
                if self._tables.are_due:
                    self._work_or_wait(ask_tables=True)
                else:
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
            more = ask_tables and not self._is_spare and self._ask_tables()
        except StoreError as error:  # weather, or a schema of another version: nothing is given up for that
            self._is_unsure = True
            self.tick_in(self._outage.met(error), RETRY)
            return
        self._outage.over()
        self._acknowledgements.send()
        self._demand()
        self.tick_in(0 if more else self._pace.poll.total_seconds(), POLL)

    def _ask_tables(self) -> bool:
        """Whether there may be more at once."""
        more = False
        for taken in self._tables.take():
            self._in_hand.append(taken)
            self._work_off()
            more = more or taken.more
        return more

    def _work_off(self) -> None:
        """What is in hand stays there until all of it is done, whatever else is down meanwhile."""
        while self._in_hand:
            match self._in_hand[0]:
                case Entries() as given:
                    self._entries(given)
                    self._dealt_with += [entry.entry_id for entry in given.entries]
                case Taken(takings, source):
                    self._takings(takings, source)
                case _Again(entries):
                    for entry in entries:
                        self._retaken_entry(entry)
            self._in_hand.popleft()
            self._attempts.over()

    def _demand(self) -> None:
        """Told when it is news: a poll that found nothing is no reason to fill the sources' mailboxes."""
        if self._is_unsure or self._in_hand:
            return
        if self._dealt_with or self._want != self._told:
            self._tell_sources(self._want)
            self._is_fresh, self._told = False, self._want
        self.doing("idle")
        self.tick_in(ASK_AGAIN_SECONDS * random.uniform(0.5, 1.0), ASK)  # noqa: S311 - jitter is no secret

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
        self._processor.process(
            [Work(entry.candidate_id, entry.generation, entry) for entry in given.entries], "stream"
        )
        self._want = self._pace.next_want(self._want, len(given.entries))

    def _retaken_entry(self, entry: Entry) -> None:
        """One by one, each attempt counted before it begins, so that a payload that kills the process is caught."""
        try:
            work = self._begun(entry)
        except DataRefused as error:  # its candidate cannot be read
            self._processor.refused(Work(entry.candidate_id, entry.generation, entry), error, "reclaimed")
            return
        if work is not None:
            self._processor.process([work], "reclaimed")

    def _begun(self, entry: Entry) -> Work | None:
        """The next attempt at an entry; None if none is to be made now."""
        given = inputs.read(self._database, [entry.candidate_id]).get(entry.candidate_id)
        generation = entry.generation or (given.generation if given else 0)
        if given is not None and given.evaluated_generation >= generation:
            self._acknowledgements.add([entry.entry_id])
            return None
        number = self._attempts.begin(entry.candidate_id, generation)
        if number is None:
            if self._attempts.waits(entry.candidate_id, generation):
                self._acknowledgements.add([entry.entry_id])
            else:
                self._look_again(entry)
            return None
        work = Work(entry.candidate_id, generation, entry, attempts=number)
        if work.attempts > self._pace.max_attempts:
            self._processor.give_up(work, "too_many_attempts" if given else "candidate_not_found")
            return None
        return work

    def _look_again(self, entry: Entry) -> None:
        """It is in somebody else's hands, who may finish it or not: until that is known it stays pending, and a pending
        entry makes the sweep believe in all that is younger.
        """
        self._elsewhere.append(entry)
        self.tick_in(ASK_AGAIN_SECONDS, AGAIN)

    # The tables

    def _takings(self, takings: Sequence[store.Taking], source: str) -> None:
        if not takings:
            return
        self.doing(f"evaluating {len(takings)} from the {source}")
        metrics.CLAIMED.labels(source).inc(len(takings))
        self._attempts.begun(takings)
        works = [Work(t.candidate_id, t.generation, None, t.work_id, t.attempts) for t in takings]
        self._processor.process([work for work in works if work.attempts == 1], source)
        for work in works:
            if work.attempts > self._pace.max_attempts:
                self._processor.give_up(work, "too_many_attempts")
            elif work.attempts > 1:
                self._processor.process([work], source)
