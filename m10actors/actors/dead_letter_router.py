"""Gives up what cannot be done: the dead letter of record in PostgreSQL first, then the stream entry in one atomic
step.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from m10actors import logs, metrics
from m10actors.actors.messages import GiveUp, Tick
from m10actors.actors.outage import Outage
from m10actors.postgres import evaluations as store
from m10actors.postgres.errors import DataRefused, StoreError
from m10actors.postgres.evaluations import Burial
from m10actors.postgres.pool import Database
from m10actors.recovery import graves
from m10actors.streams import BadReason, DeadLetter, StreamMonitor, StreamQueue, StreamsError
from m10actors.streams.codec import as_json
from m10actors.supervision import Actor, Link
from m10actors.testing.failpoints import failpoint

log = logs.logger(__name__)

ROUTE = Tick("route")
MOST_WAITING = 10_000
AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class _Grave:
    """A GiveUp with the id of its dead letter, which is the same whenever and wherever it is made: a repeat writes
    nothing twice.
    """

    given: GiveUp
    dl_msg_id: str
    with_fields: bool = True


class DeadLetterRouter(Actor):
    """Waits for PostgreSQL, never for Redis. What is dropped, or was waiting here in a crash, is found again where it
    came from.
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
        self._outage = Outage("postgres")

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
        batch = self._waiting[:AT_ONCE]
        self.doing(f"giving up {len(batch)}")
        try:
            self._route(batch)
        except StoreError as error:  # weather, or a schema of another version
            self.tick_in(min(self._poll, self._outage.met(error)), ROUTE)
            return
        self._outage.over()
        del self._waiting[: len(batch)]
        if self._waiting:
            self.tick_in(0, ROUTE)

    def _route(self, batch: Sequence[GiveUp]) -> None:
        gone = [given.entry.entry_id for given in batch if given.entry and given.reason == BadReason.TOMBSTONE]
        named = self._named([given for given in batch if given.reason != BadReason.TOMBSTONE])
        written: set[str] = set()
        for claimant in {grave.given.claimed_by for grave in named}:  # who alone may end a claim that still stands
            written |= self._bury(claimant or self._worker, [g for g in named if g.given.claimed_by == claimant])
        failpoint("reclaim.after_dead_commit")
        first = list({grave.dl_msg_id: grave for grave in reversed(named)}.values())  # of each
        for grave in first:
            if grave.dl_msg_id in written:
                _tell(grave)
        # What is no news was recorded before, was evaluated meanwhile, or is in other hands: its entry is needed no
        # more. One that is malformed can only have been recorded before, perhaps without its copy.
        news = [grave for grave in first if grave.dl_msg_id in written or grave.given.candidate_id is None]
        moved = self._move(news)
        self._finish([entry_id for entry_id in (*gone, *_entry_ids(named)) if entry_id not in moved])

    def _named(self, batch: Sequence[GiveUp]) -> list[_Grave]:
        """A generation dies once; a malformed entry once in the life of its stream, since ids repeat after a flush.
        Without Redis it cannot be told which life that is, and the entry comes again.
        """
        incarnation = None
        if any(given.candidate_id is None for given in batch):
            try:
                incarnation = self._monitor.incarnation()
            except StreamsError as error:
                log.info("malformed_entries_wait", cause=str(error))
        named = []
        for given in batch:
            if given.candidate_id is not None:
                named.append(_Grave(given, graves.evaluation(given.candidate_id, given.generation)))
            elif incarnation is not None:
                named.append(_Grave(given, graves.malformed_entry(incarnation, _original(given))))
        return named

    def _bury(self, claimant: str, graves: Sequence[_Grave]) -> set[str]:
        """Writes the dead letters of record; where one cannot be written as it is, the others are all the same, and
        that one without its fields.
        """
        try:
            return store.bury(self._database, claimant, [_burial(grave) for grave in graves])
        except DataRefused as error:
            if len(graves) > 1:
                return {written for grave in graves for written in self._bury(claimant, [grave])}
            [refused] = graves
            log.error("dead_letter_refused", dl_msg_id=refused.dl_msg_id, error=str(error))
            bare = replace(refused, with_fields=False)
            return self._bury(claimant, [bare]) if bare != refused else set()

    def _move(self, graves: Sequence[_Grave]) -> set[bytes]:
        """Copies to the dead-letter stream; the ids of the entries that went with a copy. Where Redis takes none, the
        others must not stay for that: their record is written.
        """
        moved = set()
        for number, grave in enumerate(graves):
            entry = grave.given.entry
            letter = DeadLetter(grave.dl_msg_id, _original(grave.given), grave.given.reason, datetime.now(UTC))
            try:
                self._queue.dead_letter(letter, entry.fields if entry else {}, entry.entry_id if entry else None)
            except StreamsError as error:
                log.info("dead_letter_copies_refused", copies=len(graves) - number, cause=str(error))
                break
            if entry is not None:
                moved.add(entry.entry_id)
        return moved

    def _finish(self, entry_ids: Sequence[bytes]) -> None:
        try:
            self._queue.finish(entry_ids)
        except StreamsError as error:
            log.info("entries_stay_pending", entries=len(entry_ids), cause=str(error), consequence="they come again")


def _tell(grave: _Grave) -> None:
    given = grave.given
    metrics.DEAD_LETTERS.labels(given.reason.partition(":")[0]).inc()
    metrics.ARCHIVED.labels("engine").inc()
    log.warning("dead_letter", reason=given.reason, candidate_id=given.candidate_id, dl_msg_id=grave.dl_msg_id)


def _entry_ids(graves: Iterable[_Grave]) -> list[bytes]:
    return [grave.given.entry.entry_id for grave in graves if grave.given.entry is not None]


def _original(given: GiveUp) -> str:
    if given.candidate_id is not None:
        return f"{given.candidate_id}:{given.generation}"
    return given.entry.entry_id.decode() if given.entry else ""


def _burial(grave: _Grave) -> Burial:
    given = grave.given
    fields = as_json(given.entry.fields) if given.entry and grave.with_fields else {}
    return Burial(
        dl_msg_id=grave.dl_msg_id,
        candidate_id=given.candidate_id,
        generation=given.generation,
        entry_id=given.entry.entry_id.decode() if given.entry else None,
        payload={"message_id": _original(given), "fields": fields, "attempts": given.attempts},
        reason=given.reason,
    )
