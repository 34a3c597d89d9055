"""The one that delivers the outbox: it takes the lease, claims events, has workers deliver them, writes the outcomes.

It never waits for HTTP, and another renews its lease. Every claim and every completion demands the live lease in its
epoch inside SQL; between two renewals the lease is trusted only until the moment that the pure rule of
recovery/lease.py gives, and the leader steps down when in doubt (docs/lease.md).
"""

import random
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta

from m10actors import logs, metrics
from m10actors.actors.completions import WORKER_CRASHED, completion, event_of
from m10actors.actors.messages import LEASE_KEEPER, Attempted, Deliver, Keep, Over, Ready, Tick, Wake
from m10actors.actors.outage import Outage
from m10actors.actors.outcome_report import report
from m10actors.actors.turn import Turn
from m10actors.delivery import Event, Held, Outcome
from m10actors.hints import Hints
from m10actors.postgres import evaluations as store
from m10actors.postgres import locks, outbox
from m10actors.postgres.errors import DataRefused, LeaseLost, StoreError
from m10actors.postgres.outbox import OUTBOX_LOCK, Completion, Settled
from m10actors.postgres.pool import Database
from m10actors.recovery.lease import Tenure, Terms
from m10actors.supervision import Actor, Link
from m10actors.testing.failpoints import failpoint

log = logs.logger(__name__)

WORK = Tick("work")
GATHER = 0.01
"""Seconds in which outcomes gather while other events are on their way, so that fewer commits write more of them."""
STAND_BY = 0.1
"""Seconds between two looks for the lock of another, so that a drain hands it over at once."""
LEAST_HELD = 0.1
"""Seconds until what was held is looked for again, at least; an attempt that ends has it looked for at once."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How often the table is asked, how many events are claimed at once, and how many can be in hand: so many that the
    workers come through with them before their claims are old.
    """

    terms: Terms
    poll: timedelta
    batch_size: int
    workers: int
    most_in_hand: int

    @classmethod
    def of(
        cls, ttl: timedelta, poll: timedelta, batch_size: int, workers: int, timeout: timedelta, claim: timedelta
    ) -> "Pace":
        """`timeout`: the longest attempt; `claim`: the age at which a claim may be taken over."""
        rounds = max(1, int(claim / timeout) - 1)
        return cls(Terms.of(ttl), poll, batch_size, workers, workers * rounds)


class OutboxLeader(Actor):
    """Leader while it has a tenure. An event in hand is in the turn (waiting, or with a worker) or in `_outcomes`."""

    def __init__(
        self,
        link: Link,
        worker: str,
        database: Database,
        hints: Hints,
        pace: Pace,
        held: Callable[[], Mapping[str, float]],
        take_over: Callable[[], Sequence[str]],
    ) -> None:
        """`held`: the destinations that take nothing now, each with the seconds until it may."""
        super().__init__(link)
        self._name = f"{worker}/{self.child_id}"
        self._database = database
        self._hints = hints
        self._pace = pace
        self._held = held
        self._take_over: Callable[[], Sequence[str]] | None = take_over  # what the dead of this run folder held, once
        self._is_unsure = True  # whether the tables may hold something under this name that is not in hand
        self._tenure: Tenure | None = None
        self._turn: Turn | None = None
        self._idle: dict[str, int] = {}  # the incarnation of each idle worker
        self._outcomes: list[tuple[Event, Outcome | Held, float | None]] = []
        self._outage = Outage("postgres")

    def on_begin(self) -> None:
        self.tick_in(0, WORK)

    def on_message(self, message: object) -> None:
        match message:
            case Ready():
                self._worker_is_ready(message)
            case Attempted():
                self._attempted(message)
            case Wake():
                self.tick_in(0, WORK)
            case Over(tenure):
                if tenure is self._tenure:
                    self._step_down("the lease could not be renewed")
            case Tick("work"):
                self._work()

    def on_end(self) -> None:
        """The drain: what came back is written, and the lease released, so that the next leader begins at once."""
        if self._tenure is None:
            return
        with suppress(StoreError):  # without PostgreSQL the lease ends by itself
            self._write(self._tenure)
            failpoint("leader.before_release")
            locks.end(self._database, self._tenure)

    def _work(self) -> None:
        """Writes, claims and hands out what there is; seconds later, or woken, again."""
        pause, began = self._pace.poll.total_seconds(), time.monotonic()
        try:
            if self._tenure is None:
                self._acquire()
            if self._tenure is None:
                pause = STAND_BY * random.uniform(0.8, 1.2)  # noqa: S311 - jitter is no secret
            else:
                self._lead(self._tenure)
        except LeaseLost as error:
            self._step_down(str(error))
        except StoreError as error:  # weather, or a schema of another version
            pause = self._outage.met(error)
        else:
            self._outage.over()
            if self._turn is not None:
                pause = min(pause, max(LEAST_HELD, self._turn.next_due(began)))
        self.tick_in(pause, WORK)

    # The lease

    def _acquire(self) -> None:
        if self._take_over is not None:
            self._take_over()
            self._take_over = None
        if self._is_unsure:
            store.take_over(self._database, [self._name])  # of a predecessor that crashed, or of before it stepped down
            self._is_unsure = False
        tenure = locks.begin(self._database, OUTBOX_LOCK, self._name, self._pace.terms, asker=self.child_id)
        failpoint("leader.after_acquire")
        if tenure is None:
            if self._link.doing != "standing by":
                metrics.LOCK_FAILED.labels(OUTBOX_LOCK).inc()
            self.doing("standing by")
            return
        metrics.LOCK_ACQUIRED.labels(OUTBOX_LOCK).inc()
        log.info("leader_elected", epoch=tenure.epoch)
        self._tenure, self._turn = tenure, Turn(tenure)

    def _step_down(self, why: str) -> None:
        """Lets go of everything in hand: a later epoch takes it over, under the same keys."""
        if self._tenure is None or self._turn is None:
            return
        in_hand = self._turn.waiting + self._turn.taken + len(self._outcomes)
        log.warning("leader_stepped_down", reason=why, in_hand=in_hand)
        self._tenure.end()
        self._tenure = self._turn = None
        self._is_unsure = True
        self._outcomes.clear()
        self.tick_in(0, WORK)

    # Claim and hand out

    def _lead(self, tenure: Tenure) -> None:
        if not tenure.is_trusted:
            self._step_down("the lease could not be renewed in time")
            return
        self.tell_child(LEASE_KEEPER, Keep(tenure))
        self._write(tenure)
        if self._turn is not None and not self.stopping.is_set():
            self._claim(tenure, self._turn)
            self._hand_out(self._turn)

    def _claim(self, tenure: Tenure, turn: Turn) -> None:
        """Ahead of the workers, so that they have something to do while outcomes are written."""
        room = min(self._pace.batch_size, self._pace.most_in_hand - turn.waiting - turn.taken)
        if turn.waiting < self._pace.batch_size and room > 0:
            held = self._held()
            found = outbox.claim(self._database, self._name, tenure.epoch, room, held)
            failpoint("outbox.after_claim")
            turn.put(map(event_of, found))
            if len(found) == room:  # there may be more
                self.tick_in(0, WORK)
            elif held:
                self.tick_in(max(LEAST_HELD, min(held.values())), WORK)

    def _hand_out(self, turn: Turn) -> None:
        for worker, incarnation in list(self._idle.items())[: turn.waiting]:
            del self._idle[worker]
            self.tell_child(worker, Deliver(turn, incarnation))
        self.doing(f"leader of epoch {turn.epoch}, {turn.waiting + turn.taken} in hand")

    def _worker_is_ready(self, ready: Ready) -> None:
        """What its predecessor was at when it crashed has an outcome too."""
        self._idle[ready.worker] = ready.incarnation
        if self._turn is not None:
            left = self._turn.left_by(ready.worker)
            self._outcomes += [(event, WORKER_CRASHED, None) for event in left]
            self.tick_in(0, WORK)

    # Outcomes

    def _attempted(self, attempt: Attempted) -> None:
        if not isinstance(attempt.outcome, Held):
            event_type = metrics.event_type_label(attempt.event.event_type)
            metrics.DELIVERY_SECONDS.labels(event_type).observe(attempt.seconds)
        if self._turn is None or attempt.epoch != self._turn.epoch:
            return  # of an epoch that is over: its successor delivers the event again
        if self._turn.came_back(attempt.event.id):
            self._outcomes.append((attempt.event, attempt.outcome, attempt.seconds))
            self.tick_in(GATHER if self._turn.waiting + self._turn.taken else 0, WORK)

    def _write(self, tenure: Tenure) -> None:
        """Writes the outcomes that have gathered, in one statement."""
        if not self._outcomes:
            return
        failpoint("outbox.before_complete")
        completions = [completion(event.id, outcome, seconds) for event, outcome, seconds in self._outcomes]
        settled = self._complete(tenure.epoch, completions)
        failpoint("outbox.after_complete")
        report([(event, outcome) for event, outcome, _ in self._outcomes], settled, tenure.epoch)
        for _, outcome, _ in self._outcomes:
            if isinstance(outcome, Held) and self._turn is not None:
                self._turn.held_for(outcome.seconds)
        self._outcomes.clear()
        self._hints.send([(e.candidate_id, e.message_due) for e in settled if e.candidate_id and e.message_due])

    def _complete(self, epoch: int, completions: list[Completion]) -> list[Settled]:
        """Where one cannot be written as it is, the others are all the same, and that one without what it says."""
        try:
            return outbox.complete(self._database, self._name, epoch, completions)
        except DataRefused as error:
            if len(completions) > 1:
                return [settled for each in completions for settled in self._complete(epoch, [each])]
            [refused] = completions
            log.error("outcome_refused", event_id=refused.event_id, outcome=refused.outcome, error=str(error))
            bare = replace(refused, error=f"store_refused: {error.sqlstate}", result=None, attempt=None)
            return self._complete(epoch, [bare]) if bare != refused else []
