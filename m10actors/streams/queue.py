"""The consumer's side of the stream: reading in a group, the pending entries list, acknowledging, dead-lettering.

Redis delivers at least once and may lose everything at any moment; both are fine, because PostgreSQL is the record and
decides what takes effect. This side sees to it that no entry is stranded: each one read is finished, handed back, or
found again in the pending entries list. Attempts are never taken from Redis' delivery counter: it counts restarts too.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from typing import Final

from m10actors.streams.client import RedisClient
from m10actors.streams.codec import BadEntry, BadReason, Entry, Fields, decode
from m10actors.streams.connection import Reply
from m10actors.streams.dead_letters import DeadLetter, dead_letter_fields
from m10actors.streams.errors import Cause, GroupExists, RedisUnavailable, StreamsError, StreamStateLost
from m10actors.streams.names import StreamNames

FIRST: Final = b"0-0"
"""Where a pass of `reclaim` begins, and what its cursor is when the pass is over."""

_CHUNK: Final = 1000
_LOOK: Final = 100
_LONG_IDLE_MS: Final = 30 * 24 * 3600 * 1000
_BEYOND_ALL: Final = f"{2**64 - 1}-{2**64 - 2}"
_NOT_PENDING: Final = -1
"""What XACKDEL says of an id that is not in the pending entries list. https://redis.io/docs/latest/commands/xackdel/"""


@dataclass(frozen=True, slots=True)
class Stalled:
    """An entry that somebody has had for `idle` without a sign."""

    entry: Entry | BadEntry
    idle: timedelta


@dataclass(frozen=True, slots=True)
class Reclaimed:
    """One step through the pending entries list.

    `deleted` are ids whose entries were deleted while pending: lost hints, which are off the list now.
    """

    entries: list[Entry | BadEntry]
    deleted: list[bytes]
    cursor: bytes


def _all(stalled: list[Stalled]) -> list[Entry | BadEntry]:
    return [each.entry for each in stalled]


class StreamQueue:
    """One consumer of the group. `read` belongs to one thread, everything else to any number of them.

    Every command has the client's timeout, and `read` its `block` on top of it. After StreamStateLost: `ensure_group`,
    then sweep PostgreSQL.
    """

    def __init__(self, redis: RedisClient, names: StreamNames, consumer: str) -> None:
        self._redis = redis
        self._names = names
        self._consumer = consumer
        self._reader = redis.dedicated()

    def ensure_group(self) -> bool:
        """Creates the group, and the stream, if they are not there; True if it did: what was before it is lost.

        The group begins at id 0, so that what was added before it is not skipped. It is looked for first: a server that
        is full refuses to make one, also where there is one.
        """
        with suppress(StreamStateLost):
            self._redis.call("XPENDING", self._names.stream, self._names.group)
            return False
        try:
            self._redis.call("XGROUP", "CREATE", self._names.stream, self._names.group, "0", "MKSTREAM")
        except GroupExists:
            return False
        return True

    def read(self, count: int, block: timedelta) -> list[Entry | BadEntry]:
        """Up to `count` entries that nobody has had yet; waits up to `block` for the first one, and for no other.

        After any error call `read_own_pending`: the server may have delivered entries in a reply that never arrived.
        """
        wait = ("BLOCK", max(1, int(block.total_seconds() * 1000)))
        reply = self._reader.call(
            "XREADGROUP", "GROUP", self._names.group, self._consumer, "COUNT", count, *wait,
            "STREAMS", self._names.stream, ">", timeout=block + self._redis.timeout,
        )  # fmt: skip
        if not reply:
            self._show_up()
            return []
        return _entries(reply[0][1])

    def wake(self) -> None:
        """Ends a `read` that is waiting, from another thread; unlike a closed connection it loses no entry.

        At best: a `read` about to begin is not ended, nor one that cannot be told so. Those end after their `block`.
        """
        if (client_id := self._reader.client_id) is not None:
            with suppress(StreamsError):
                self._redis.call("CLIENT", "UNBLOCK", client_id)

    def read_own_pending(self, known: Collection[bytes], count: int) -> list[Entry | BadEntry]:
        """Up to `count` entries delivered to this consumer that it does not have in hand; `known` are those it has.

        Looked up by id, so that the idle time of what is in hand stays what it is. A reply lost in a frozen server may
        be delivered only after this looked: look again a little later, and now and then while idle.
        """
        return self._claim_from(self._consumer, known, count)

    def take_over(self, dead_consumers: Iterable[str], count: int) -> list[Entry | BadEntry]:
        """Up to `count` pending entries of consumers known to be dead, at once, whatever their idle time."""
        taken: list[Entry | BadEntry] = []
        for consumer in dead_consumers:
            if len(taken) < count:
                taken += self._claim_from(consumer, (), count - len(taken))
        return taken

    def reclaim(
        self,
        min_idle: timedelta,
        count: int,
        cursor: bytes = FIRST,
        choose: Callable[[list[Stalled]], list[Entry | BadEntry]] = _all,
    ) -> Reclaimed:
        """Takes over up to `count` of the pending entries that are idle for `min_idle` and that `choose` leaves, from
        `cursor` on; a cursor of FIRST again ends the pass.

        A step looks at a hundred such entries at most, so it may take nothing and still not be the last.
        """
        key, group = self._names.stream, self._names.group
        idle_ms = int(min_idle.total_seconds() * 1000)
        most = max(count, _LOOK)
        pending = self._redis.call("XPENDING", key, group, "IDLE", idle_ms, b"(" + cursor, "+", most)
        stalled, deleted = self._look_up(pending)
        self.finish(deleted)
        chosen = choose(stalled)
        wanted = [entry.entry_id for entry in chosen[:count]]
        # Whoever takes an entry resets its idle time in the same step: of several reclaimers one gets it.
        claimed = self._redis.call("XCLAIM", key, group, self._consumer, idle_ms, *wanted) if wanted else []
        if len(chosen) > count:
            cursor = wanted[-1]
        elif len(pending) == most:
            cursor = pending[-1][0]
        else:
            cursor = FIRST
        return Reclaimed(_entries(claimed), deleted, cursor)

    def keep(self, entry_ids: Sequence[bytes]) -> None:
        """The heartbeat of a slow evaluation: sets the idle time of entries in hand to zero and counts no delivery."""
        self._claim_ids(entry_ids)

    def hand_back(self, entry_ids: Sequence[bytes]) -> None:
        """Lets go of entries in hand: anybody may reclaim them at once, and they count as never delivered."""
        self._claim_ids(entry_ids, "IDLE", _LONG_IDLE_MS, "RETRYCOUNT", 0)

    def finish(self, entry_ids: Sequence[bytes]) -> None:
        """Acknowledges and deletes entries whose effect is committed; repeating it does no harm.

        Together, because an acknowledged entry that stays in the stream stays for ever. It is clean-up, no proof of
        anything: an acknowledgement counts for the whole group, whoever sends it.
        """
        key, group = self._names.stream, self._names.group
        for chunk in _chunks(entry_ids):
            if self._redis.offers("XACKDEL", key, group, "IDS", 1, FIRST):  # Redis 8.2; no entry has that id
                replies = self._redis.call("XACKDEL", key, group, "IDS", len(chunk), *chunk)
                # It leaves entries that are not pending: somebody deleted the consumer that had them.
                left = [entry_id for entry_id, reply in zip(chunk, replies, strict=True) if reply == _NOT_PENDING]
                if left:
                    self._redis.call("XDEL", key, *left)
            else:
                self._remove(chunk)

    def dead_letter(self, letter: DeadLetter, fields: Fields, entry_id: bytes | None) -> None:
        """Moves an entry to the dead-letter stream in one step; without an entry (None), only adds it there.

        Write the dead letter of record to PostgreSQL first. On RedisUnavailable (a full server refuses the copy) go on
        and `finish` the entry.
        """
        copy = dead_letter_fields(letter, fields, self._names.stream, self._consumer, entry_id)
        removal = self._removal([entry_id]) if entry_id is not None else []
        self._redis.transaction([("XADD", self._names.dead_letter, "*", *copy), *removal])

    def close(self) -> None:
        """Disconnects the reading connection; the client that was given stays open."""
        self._reader.close()

    def _show_up(self) -> None:
        """Redis before 7.2 sees a consumer when it is given something or asks for what it has (XINFO CONSUMERS)."""
        key, group = self._names.stream, self._names.group
        self._redis.call("XREADGROUP", "GROUP", group, self._consumer, "STREAMS", key, _BEYOND_ALL)

    def _look_up(self, pending: Reply) -> tuple[list[Stalled], list[bytes]]:
        """What lies behind rows of the pending entries list, and the ids behind which nothing lies any more."""
        key, stalled, deleted = self._names.stream, [], []
        found = self._redis.pipeline([("XRANGE", key, row[0], row[0]) for row in pending]) if pending else []
        for row, entries in zip(pending, found, strict=True):
            if entries:
                stalled.append(Stalled(decode(*entries[0]), timedelta(milliseconds=row[2])))
            else:
                deleted.append(row[0])
        return stalled, deleted

    def _remove(self, entry_ids: Sequence[bytes]) -> None:
        acknowledge, delete = self._removal(entry_ids)
        try:
            self._redis.transaction([acknowledge, delete])
        except RedisUnavailable as error:
            if error.cause is not Cause.OOM:
                raise
            # A full Redis 7.0 takes no MULTI, not even to make room. What is deleted first is found as pending, and
            # acknowledged then; the other way round it would stay in the stream for ever.
            self._redis.pipeline([delete, acknowledge])

    def _removal(self, entry_ids: Sequence[bytes]) -> list[tuple[str | bytes, ...]]:
        key = self._names.stream
        return [("XACK", key, self._names.group, *entry_ids), ("XDEL", key, *entry_ids)]

    def _claim_from(self, consumer: str, known: Collection[bytes], count: int) -> list[Entry | BadEntry]:
        key, group = self._names.stream, self._names.group
        pending = self._redis.call("XPENDING", key, group, "-", "+", count + len(known), consumer)
        entry_ids = [row[0] for row in pending if row[0] not in known][:count]
        if not entry_ids:
            return []
        entries = _entries(self._redis.call("XCLAIM", key, group, self._consumer, 0, *entry_ids))
        # What is pending and cannot be claimed was deleted: servers since 7.0 leave it out, 6.2 sends nil in its place.
        there = {entry.entry_id for entry in entries}
        return entries + [BadEntry(gone, BadReason.TOMBSTONE, {}) for gone in entry_ids if gone not in there]

    def _claim_ids(self, entry_ids: Sequence[bytes], *options: str | int) -> None:
        key, group = self._names.stream, self._names.group
        for chunk in _chunks(entry_ids):
            self._redis.call("XCLAIM", key, group, self._consumer, 0, *chunk, *options, "JUSTID")


def _entries(reply: Reply) -> list[Entry | BadEntry]:
    return [decode(row[0], row[1]) for row in reply if row is not None]


def _chunks(entry_ids: Sequence[bytes]) -> Iterator[list[bytes]]:
    remaining = iter(entry_ids)
    while chunk := list(islice(remaining, _CHUNK)):
        yield chunk
