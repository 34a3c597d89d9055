"""Gives up what cannot be done: the dead letter of record in PostgreSQL first, then the stream entry in one atomic
step.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import NAMESPACE_URL, uuid5

from m10actors import logs, metrics
from m10actors.actors.messages import GiveUp, Tick
from m10actors.actors.outage import Outage
from m10actors.postgres import evaluations as store
from m10actors.postgres.errors import StoreUnavailable
from m10actors.postgres.evaluations import Burial
from m10actors.postgres.pool import Database
from m10actors.streams import (
    BadEntry,
    BadReason,
    DeadLetter,
    RedisMisconfigured,
    RedisUnavailable,
    StreamMonitor,
    StreamQueue,
    StreamsError,
    StreamStateLost,
)
from m10actors.streams.codec import as_json
from m10actors.supervision import Actor, Link
from m10actors.testing.failpoints import failpoint

log = logs.logger(__name__)

ROUTE = Tick("route")
MOST_WAITING = 10_000
_NAMES = uuid5(NAMESPACE_URL, "m10actors:dead-letter")


@dataclass(frozen=True, slots=True)
class _Grave:
    """A GiveUp with the id of its dead letter, which is the same whenever and wherever it is made: a repeat writes
    nothing twice.
    """

    given: GiveUp
    dl_msg_id: str


class DeadLetterRouter(Actor):
    """What waits here while a store is away is bounded: beyond that it is dropped, and found again where it came
    from.
    """

    def __init__(
        self, link: Link, worker: str, database: Database, queue: StreamQueue, monitor: StreamMonitor, poll: timedelta
    ) -> None:
        super().__init__(link)
        self._worker = worker
        self._database = database
        self._queue = queue
        self._monitor = monitor
        self._poll = poll.total_seconds()
        self._waiting: list[GiveUp] = []
        self._outage = Outage("a store of dead letters")

    def on_message(self, message: object) -> None:
        match message:
            case GiveUp():
                if len(self._waiting) < MOST_WAITING:
                    self._waiting.append(message)
                self.tick_in(0, ROUTE)
            case Tick("route"):
                self._route_or_wait()

    def _route_or_wait(self) -> None:
        if not self._waiting:
            return
        batch = self._waiting[:100]
        self.doing(f"giving up {len(batch)}")
        try:
            self._route(batch)
        except (StoreUnavailable, RedisUnavailable, RedisMisconfigured, StreamStateLost) as error:
            self.tick_in(min(self._poll, self._outage.met(error)), ROUTE)
            return
        self._outage.over()
        del self._waiting[: len(batch)]
        if self._waiting:
            self.tick_in(0, ROUTE)

    def _route(self, batch: list[GiveUp]) -> None:
        tombstones = [
            g.entry.entry_id for g in batch if isinstance(g.entry, BadEntry) and g.entry.reason is BadReason.TOMBSTONE
        ]
        self._queue.finish(tombstones)  # nothing is left of them: the sweep finds their work
        graves = [
            _Grave(given, self._name(given))
            for given in batch
            if not (given.entry and given.entry.entry_id in tombstones)
        ]
        if not graves:
            return
        written = store.bury(self._database, self._worker, [_burial(grave) for grave in graves])
        failpoint("reclaim.after_dead_commit")
        for grave in graves:
            if grave.dl_msg_id in written:
                metrics.DEAD_LETTERS.labels(grave.given.reason.partition(":")[0]).inc()
                metrics.ARCHIVED.labels("engine").inc()
                log.warning(
                    "dead_letter",
                    reason=grave.given.reason,
                    candidate_id=grave.given.candidate_id,
                    dl_msg_id=grave.dl_msg_id,
                )
            self._move(grave)

    def _move(self, grave: _Grave) -> None:
        """The copy in the dead-letter stream; a Redis that refuses it must not keep the entry, whose record is
        written.
        """
        entry = grave.given.entry
        letter = DeadLetter(grave.dl_msg_id, _original(grave.given), grave.given.reason, datetime.now(UTC))
        try:
            self._queue.dead_letter(letter, entry.fields if entry else {}, entry.entry_id if entry else None)
        except StreamsError as error:
            log.info("dead_letter_copy_refused", dl_msg_id=grave.dl_msg_id, cause=str(error))
            if entry is not None:
                self._queue.finish([entry.entry_id])

    def _name(self, given: GiveUp) -> str:
        """A generation dies once; an entry once in the life of its stream, since ids repeat after a flush."""
        if given.candidate_id is not None:
            return str(uuid5(_NAMES, f"evaluation:{given.candidate_id}:{given.generation}"))
        entry_id = given.entry.entry_id.decode() if given.entry else ""
        return str(uuid5(_NAMES, f"entry:{self._monitor.incarnation()}:{entry_id}"))


def _original(given: GiveUp) -> str:
    if given.candidate_id is not None:
        return f"{given.candidate_id}:{given.generation}"
    return given.entry.entry_id.decode() if given.entry else ""


def _burial(grave: _Grave) -> Burial:
    given = grave.given
    fields = as_json(given.entry.fields) if given.entry else {}
    return Burial(
        dl_msg_id=grave.dl_msg_id,
        candidate_id=given.candidate_id,
        generation=given.generation,
        entry_id=given.entry.entry_id.decode() if given.entry else None,
        payload={"message_id": _original(given), "fields": fields, "attempts": given.attempts},
        reason=given.reason,
    )
