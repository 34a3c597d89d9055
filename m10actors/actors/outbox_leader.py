"""The one that delivers the outbox: it keeps the lease, claims events, hands them to delivery workers and writes the
outcomes.

It never waits for HTTP. Every claim and every completion demands the live lease in its epoch inside SQL; between two
renewals it
trusts the lease only until the moment that the pure rule of recovery/lease.py gives, and steps down when in doubt.
"""

import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta

from m10actors import logs, metrics
from m10actors.actors.completions import WORKER_CRASHED, completion
from m10actors.actors.messages import Attempted, Deliver, Ready, Tick, Wake
from m10actors.actors.outage import Outage
from m10actors.delivery import Dead, Delivered, Event, Outcome, ReceiverAhead
from m10actors.hints import Hints
from m10actors.postgres import evaluations as store
from m10actors.postgres import locks, outbox
from m10actors.postgres.errors import DataRefused, LeaseLost, StoreError
from m10actors.postgres.outbox import OUTBOX_LOCK, ClaimedEvent, Completion, Settled
from m10actors.postgres.pool import Database
from m10actors.recovery.lease import Lease, Renewal, Terms
from m10actors.supervision import Actor, Link
from m10actors.testing.failpoints import failpoint

log = logs.logger(__name__)

RENEW = Tick("renew")
CLAIM = Tick("claim")
WRITE = Tick("write")
LONGEST_WAIT_FOR_LOCK = 1.0


@dataclass(frozen=True, slots=True)
class Pace:
    """How long the lease is, how often it is renewed, how often the table is asked, and how many events are claimed
    at once.
    """

    ttl: timedelta
    renew_every: timedelta
    poll: timedelta
    batch_size: int

    @property
    def terms(self) -> Terms:
        ttl = self.ttl.total_seconds()
        return Terms(ttl, margin_seconds=min(ttl / 5, 2.0))


class OutboxLeader(Actor):
    """Leader while `_lease` is set. An event in hand is in `_claimed` (no worker yet), `_sent` (with its worker) or
    `_outcomes`.
    """

    def __init__(self, link: Link, worker: str, database: Database, hints: Hints, pace: Pace) -> None:
        super().__init__(link)
        self._name = f"{worker}/{self.child_id}"
        self._database = database
        self._hints = hints
        self._pace = pace
        self._is_unsure = True  # whether the tables may hold something under this name that is not in hand
        self._lease: Lease | None = None
        self._idle: dict[str, int] = {}  # the incarnation of each idle worker
        self._claimed: deque[Event] = deque()
        self._sent: dict[int, tuple[Event, str]] = {}
        self._outcomes: list[tuple[Event, Outcome]] = []
        self._outage = Outage("postgres")

    def on_begin(self) -> None:
        self.tick_in(0, RENEW)

    def on_message(self, message: object) -> None:
        match message:
            case Ready():
                self._worker_begins(message)
            case Wake():
                self.tick_in(0, CLAIM)
            case Attempted():
                self._attempted(message)
            case Tick("renew"):
                self._guarded(self._renew, RENEW)
            case Tick("claim"):
                self._guarded(self._claim, CLAIM)
            case Tick("write"):
                self._guarded(self._write, WRITE)

    def on_end(self) -> None:
        """The drain: what came back is written, and the lease released, so that the next leader begins at once."""
        if self._lease is None:
            return
        with suppress(StoreError):  # without PostgreSQL the lease ends by itself
            self._write()
            failpoint("leader.before_release")
            locks.release(self._database, OUTBOX_LOCK, self._name, self._lease.epoch)

    def _guarded(self, step: Callable[[], None], again: Tick) -> None:
        try:
            step()
        except LeaseLost as error:
            self._step_down(str(error))
        except StoreError as error:  # weather, or a schema of another version
            self.tick_in(self._outage.met(error), again)
        else:
            self._outage.over()

    # The lease

    def _renew(self) -> None:
        started = time.monotonic()
        if self._lease is None:
            self._acquire(started)
            return
        answer = Renewal.UNKNOWN
        try:
            failpoint("leader.before_renew")
            held = locks.renew(self._database, OUTBOX_LOCK, self._name, self._lease.epoch, self._pace.ttl)
            answer = Renewal.RENEWED if held else Renewal.LOST
        finally:
            kept = self._lease.after(answer, started, self._pace.terms)
        if kept is None:
            self._step_down("the lock is not ours any more")
        self._lease = kept
        self.tick_in(self._pace.renew_every.total_seconds(), RENEW)

    def _acquire(self, started: float) -> None:
        if self._is_unsure:
            store.take_over(self._database, [self._name])  # of a predecessor that crashed, or of before it stepped down
            self._is_unsure = False
        epoch = locks.acquire(self._database, OUTBOX_LOCK, self._name, self._pace.ttl)
        failpoint("leader.after_acquire")
        if epoch is None:
            metrics.LOCK_FAILED.labels(OUTBOX_LOCK).inc()
            self.doing("standing by")
            self.tick_in(min(self._pace.renew_every.total_seconds(), LONGEST_WAIT_FOR_LOCK), RENEW)
            return
        metrics.LOCK_ACQUIRED.labels(OUTBOX_LOCK).inc()
        log.info("leader_elected", epoch=epoch)
        self._lease = Lease.granted(epoch, started, self._pace.terms)
        self.tick_in(self._pace.renew_every.total_seconds(), RENEW)
        self.tick_in(0, CLAIM)

    def _step_down(self, why: str) -> None:
        """Lets go of everything in hand: a later epoch takes it over, under the same keys."""
        log.warning(
            "leader_stepped_down", reason=why, in_hand=len(self._claimed) + len(self._sent) + len(self._outcomes)
        )
        self._lease = None
        self._is_unsure = True
        self._claimed.clear()
        self._sent.clear()
        self._outcomes.clear()
        self.tick_in(0, RENEW)

    def _trusted(self) -> Lease | None:
        """The lease, if it can still be trusted now."""
        if self._lease is not None and not self._lease.is_trusted(time.monotonic()):
            self._step_down("the lease could not be renewed in time")
        return self._lease

    # Claim and hand out

    def _claim(self) -> None:
        lease = self._trusted()
        if lease is None or self.stopping.is_set():
            return
        self._write()
        room = self._pace.batch_size - len(self._claimed)
        if len(self._claimed) < len(self._idle) and room > 0:
            found = outbox.claim(self._database, self._name, lease.epoch, room)
            failpoint("outbox.after_claim")
            # What waited here for longer than a claim stands can be claimed once more.
            in_hand = self._sent.keys() | {event.id for event in self._claimed}
            self._claimed.extend(_event(claimed) for claimed in found if claimed.id not in in_hand)
        self._hand_out(lease)
        self.tick_in(self._pace.poll.total_seconds(), CLAIM)

    def _hand_out(self, lease: Lease) -> None:
        while self._claimed and self._idle:
            worker = next(iter(self._idle))
            incarnation = self._idle.pop(worker)
            event = self._claimed[0]
            if self.tell_child(worker, Deliver(event, lease.epoch, incarnation)):
                self._sent[event.id] = (self._claimed.popleft(), worker)
        self.doing(f"leader of epoch {lease.epoch}, {len(self._sent)} on their way")

    def _worker_begins(self, ready: Ready) -> None:
        """What this worker's predecessor was at when it crashed has an outcome too."""
        for event, at in list(self._sent.values()):
            if at == ready.worker:
                del self._sent[event.id]
                self._outcomes.append((event, WORKER_CRASHED))
        self._idle[ready.worker] = ready.incarnation
        self.tick_in(0, CLAIM)

    # Outcomes

    def _attempted(self, attempt: Attempted) -> None:
        self._idle[attempt.worker] = attempt.incarnation
        _count(attempt)
        self.tick_in(0, CLAIM)
        if self._lease is None or attempt.epoch != self._lease.epoch:
            return  # of an epoch that is over: its successor delivers the event again
        if self._sent.pop(attempt.event.id, None) is not None:
            self._outcomes.append((attempt.event, attempt.outcome))
            self.tick_in(0, WRITE)

    def _write(self) -> None:
        """Writes the outcomes that have gathered, in one statement."""
        lease = self._lease
        if lease is None or not self._outcomes:
            return
        failpoint("outbox.before_complete")
        for event, outcome in self._outcomes:
            if isinstance(outcome, Dead) and outcome.pause_destination and event.destination:
                outbox.pause_destination(self._database, event.destination, outcome.reason)
                log.error("destination_paused", destination=event.destination, reason=outcome.reason)
        settled = self._complete(lease.epoch, [completion(event.id, outcome) for event, outcome in self._outcomes])
        failpoint("outbox.after_complete")
        for event, outcome in self._outcomes:
            if isinstance(outcome, ReceiverAhead):  # so it said; PostgreSQL says that nobody has a newer epoch
                log.error("receiver_ahead", destination=event.destination, event_id=event.id, epoch=lease.epoch)
        self._outcomes.clear()
        for done in settled:
            if done.state == "dead":
                metrics.ARCHIVED.labels("outbox").inc()
                log.warning("event_dead", event_id=done.event_id, event_type=done.event_type)
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
            bare = replace(refused, error=f"store_refused: {error.sqlstate}", result=None)
            return self._complete(epoch, [bare]) if bare != refused else []


def _event(claimed: ClaimedEvent) -> Event:
    return Event(
        id=claimed.id,
        event_uuid=claimed.event_uuid,
        aggregate_type=claimed.aggregate_type,
        aggregate_id=claimed.aggregate_id,
        event_type=claimed.event_type,
        payload=claimed.payload.encode(),
        destination=claimed.destination,
        retry_count=claimed.retry_count,
        idempotency_key=claimed.idempotency_key,
    )


def _count(attempt: Attempted) -> None:
    event_type = metrics.event_type_label(attempt.event.event_type)
    counter = metrics.DELIVERED if isinstance(attempt.outcome, Delivered) else metrics.FAILED
    counter.labels(metrics.aggregate_label(attempt.event.aggregate_type), event_type).inc()
    metrics.DELIVERY_SECONDS.labels(event_type).observe(attempt.seconds)
