"""Finds entries that somebody took and did not finish, and hands them to the workers: a reclaimed entry is processed,
not only claimed.
"""

from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Protocol

from m10actors import logs
from m10actors.actors.hand_out import HandOut
from m10actors.actors.messages import DEAD_LETTER_ROUTER, Demand, Entries, GiveUp, Tick
from m10actors.actors.outage import Outage
from m10actors.postgres import evaluations as store
from m10actors.postgres.errors import StoreError
from m10actors.postgres.pool import Database
from m10actors.recovery.retry import ReclaimBackoff
from m10actors.streams import (
    FIRST,
    BadEntry,
    Entry,
    RedisMisconfigured,
    RedisUnavailable,
    Stalled,
    StreamQueue,
    StreamsError,
    StreamStateLost,
)
from m10actors.supervision import Actor, Link

log = logs.logger(__name__)

RECLAIM = Tick("reclaim")


class Predecessors(Protocol):
    """Dead processes whose work this one takes over."""

    def take_over(self) -> Sequence[str]:
        """Frees what they held in PostgreSQL; the names of their consumers. StoreError: not yet."""

    def forget(self) -> None:
        """Nothing is left of them in the stream either."""


class Reclaimer(Actor):
    """Looks every `poll` for all entries that are idle for longer than `backoff` allows after the attempts that
    PostgreSQL counts: `per_round` of them at once, and only while workers want some. What is in somebody's hands stays
    there.

    First it takes over what dead predecessors held, in PostgreSQL and in the stream.
    """

    def __init__(
        self,
        link: Link,
        database: Database,
        queue: StreamQueue,
        predecessors: Predecessors,
        backoff: ReclaimBackoff,
        per_round: int,
        poll: timedelta,
    ) -> None:
        super().__init__(link)
        self._database = database
        self._queue = queue
        self._predecessors = predecessors
        self._dead: Sequence[str] | None = None  # not asked yet
        self._backoff = backoff
        self._per_round = per_round
        self._poll = poll.total_seconds()
        self._cursor = FIRST
        self._hands = HandOut()
        self._outage = Outage("redis")

    def on_begin(self) -> None:
        with suppress(StoreError):  # before any worker begins: they find all of it at once
            self._dead = self._predecessors.take_over()
        self.tick_in(0, RECLAIM)

    def on_message(self, message: object) -> None:
        match message:
            case Demand():
                held = self._hands.demand(message)
                if held:
                    self.tell_child(message.worker, Entries(held, retaken=True))
                if (self._dead or self._cursor != FIRST) and not self._hands.in_hand:
                    self.tick_in(0, RECLAIM)  # it has not seen all yet
            case Tick("reclaim"):
                self._reclaim_or_wait()

    def on_end(self) -> None:
        if self.stopping.is_set():
            with suppress(StreamsError):  # what cannot be handed back is reclaimed by another
                self._queue.hand_back(self._hands.in_hand)

    def _reclaim_or_wait(self) -> None:
        pause = self._poll
        try:
            if self._dead is None:
                self._dead = self._predecessors.take_over()
            if not self.stopping.is_set():
                self._reclaim()
            self._outage.over()
        except StreamStateLost:
            self._cursor = FIRST  # there is nothing to reclaim from a stream that is gone
            if self._dead:
                self._dead = ()
                self._predecessors.forget()
        except (RedisUnavailable, RedisMisconfigured, StoreError) as error:
            pause = min(pause, self._outage.met(error))
        self.tick_in(pause, RECLAIM)

    def _reclaim(self) -> None:
        """One worker at a time has what was begun before: should it kill the process again, nothing that another
        worker had just begun is charged with it. Meanwhile it is kept, however slow that worker is.
        """
        if in_hand := self._hands.in_hand:
            self._queue.keep(in_hand)
        elif room := self._hands.next_want:
            self._take(room)

    def _take(self, room: int) -> None:
        if self._dead:
            inherited = self._queue.take_over(self._dead, room)
            log.info("entries_inherited", dead=len(self._dead), entries=len(inherited))
            self._share(inherited)
            if not inherited:
                self._dead = ()
                self._predecessors.forget()
            self.tick_in(0, RECLAIM)
            return
        step = self._queue.reclaim(self._backoff.least, min(room, self._per_round), self._cursor, self._overdue)
        self._cursor = step.cursor
        if step.deleted:
            log.warning(
                "entries_deleted_while_pending", entries=len(step.deleted), consequence="the sweep finds their work"
            )
        if step.entries:
            log.info("entries_reclaimed", entries=len(step.entries))
            self._share(step.entries)
        elif step.cursor != FIRST:
            self.tick_in(0, RECLAIM)  # a step sees only so many: those behind many fresh ones must not wait for a poll

    def _overdue(self, stalled: Sequence[Stalled]) -> list[Entry | BadEntry]:
        """Those that are not in hand, and idle for longer than the pause that their attempts ask for."""
        named = [_key(each.entry) for each in stalled if isinstance(each.entry, Entry)]
        begun = store.attempts_made(self._database, named) if named else {}
        overdue = []
        for each in stalled:
            made = begun.get(_key(each.entry)) if isinstance(each.entry, Entry) else None
            is_free = made is None or not made.in_hand
            if is_free and each.idle >= self._backoff.after(made.attempts if made else 0):
                overdue.append(each.entry)
        return overdue

    def _share(self, taken: Sequence[Entry | BadEntry]) -> None:
        for bad in (entry for entry in taken if isinstance(entry, BadEntry)):
            self.tell_child(DEAD_LETTER_ROUTER, GiveUp(bad.reason, entry=bad))
        for worker, entries in self._hands.share([entry for entry in taken if isinstance(entry, Entry)]):
            self.tell_child(worker, Entries(entries, retaken=True))


def _key(entry: Entry) -> tuple[int, int | None]:
    return entry.candidate_id, entry.generation
