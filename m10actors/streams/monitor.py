"""Looking at the stream from outside: is it writable, is it still the same one, how much lies there, who reads it."""

import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from m10actors.streams.client import RedisClient
from m10actors.streams.codec import Entry, decode
from m10actors.streams.connection import Reply
from m10actors.streams.errors import StreamStateLost
from m10actors.streams.names import StreamNames
from m10actors.streams.rights import check_rights

ACTIVE_WITHIN: Final = timedelta(minutes=1)
_MOST_PENDING: Final = 10_000
_HEAD: Final = 100


@dataclass(frozen=True, slots=True)
class StreamStats:
    """One look at the queue. A stream or group that is not there counts zero, and `has_group` says so."""

    length: int
    dead_letter_length: int
    oldest_entry_age: timedelta | None
    """By the server's clock; None when the stream is empty."""
    oldest_dead_letter_age: timedelta | None
    has_group: bool
    pending: int
    oldest_pending_age: timedelta | None
    """Since it was added, not since it was delivered; None when nothing is pending."""
    consumers: int
    active_consumers: int
    """Those that asked for work within the last minute; the others are dead or about to be forgotten."""


@dataclass(frozen=True, slots=True)
class Head:
    """The entries that were added first, delivered or not: the candidates that they tell of."""

    told: Sequence[int]
    rest_age: timedelta | None
    """What lies behind them is no older, by the server's clock; None if nothing does."""


class StreamMonitor:
    """For the prober, the metrics and the clean-up; shared by any number of threads."""

    def __init__(self, redis: RedisClient, names: StreamNames) -> None:
        self._redis = redis
        self._names = names
        self._may_work = False

    def probe(self) -> int:
        """Returns if Redis takes writes, and from us, else raises. PING would not tell: a full or read-only server
        answers it. Rights are looked at the first time, and whenever one was found missing since.

        The number of this probe, by anyone: one not above an earlier one means that the data is older than it was.
        """
        self._may_work = self._may_work and not self._redis.was_refused()
        if not self._may_work:
            check_rights(self._redis, self._names)
            self._may_work = True
        return int(self._redis.call("INCR", self._names.probes))

    def incarnation(self) -> str:
        """A random value that lives and dies with the data: another one than before means that the data was lost."""
        value = self._redis.call("GET", self._names.incarnation)
        if value is None:
            # Several processes may find it absent: NX lets one of them name it, and all read that name.
            self._redis.call("SET", self._names.incarnation, uuid.uuid4().hex, "NX")
            value = self._redis.call("GET", self._names.incarnation) or b""
        return str(value, "ascii", "replace")

    def history(self) -> str:
        """The id of the server's replication history: it is another one after a failover and after a restart, which
        may both have lost what was added last. Empty where we may not ask.
        """
        if not self._redis.offers("INFO", "replication"):
            return ""
        found = re.search(rb"master_replid:(\w+)", self._redis.call("INFO", "replication"))
        return found[1].decode() if found else ""

    def stats(self) -> StreamStats:
        """How the queue stands."""
        stream, dead_letter = self._names.stream, self._names.dead_letter
        length, dead_letters, first, first_dead, now = self._redis.pipeline(
            [
                ("XLEN", stream),
                ("XLEN", dead_letter),
                ("XRANGE", stream, "-", "+", "COUNT", 1),
                ("XRANGE", dead_letter, "-", "+", "COUNT", 1),
                ("TIME",),
            ]
        )
        pending = self._pending()
        consumers = self._consumers()
        return StreamStats(
            length=length,
            dead_letter_length=dead_letters,
            oldest_entry_age=_age(first[0][0], now) if first else None,
            oldest_dead_letter_age=_age(first_dead[0][0], now) if first_dead else None,
            has_group=pending is not None,
            pending=pending[0] if pending else 0,
            oldest_pending_age=_age(pending[1], now) if pending and pending[0] else None,
            consumers=len(consumers),
            active_consumers=sum(timedelta(milliseconds=each[b"idle"]) < ACTIVE_WITHIN for each in consumers),
        )

    def head(self) -> Head:
        """The first hundred entries. However long one of them stays, it says nothing about what lies behind it."""
        entries, now = self._redis.pipeline([("XRANGE", self._names.stream, "-", "+", "COUNT", _HEAD), ("TIME",)])
        found = [decode(*entry) for entry in entries]
        return Head(
            told=[entry.candidate_id for entry in found if isinstance(entry, Entry)],
            rest_age=_age(found[-1].entry_id, now) if len(found) == _HEAD else None,
        )

    def remove_idle_consumers(self, idle: timedelta) -> int:
        """Forgets consumers that have nothing pending and asked for nothing for so long; returns how many."""
        gone = [
            each[b"name"]
            for each in self._consumers()
            if each[b"pending"] == 0 and timedelta(milliseconds=each[b"idle"]) > idle
        ]
        for consumer in gone:
            self._remove(consumer)
        return len(gone)

    def remove_unreachable(self) -> int:
        """Deletes the oldest entries as far as nobody can get them any more: delivered, and not pending. Other programs
        acknowledged them and no more, or somebody deleted the consumer that had them. Returns how many.

        They would fill the stream for ever, and keep the sweep from what is younger than they are.
        """
        stream, group = self._names.stream, self._names.group
        try:
            # In one step: what was delivered after a look at the pending list would seem to be unreachable.
            groups, pending = self._redis.transaction([("XINFO", "GROUPS", stream), ("XPENDING", stream, group)])
        except StreamStateLost:
            return 0
        [delivered] = [each[b"last-delivered-id"] for each in map(_pairs, groups) if each[b"name"] == group.encode()]
        return int(self._redis.call("XTRIM", stream, "MINID", pending[1] or _after(delivered)))

    def _remove(self, consumer: bytes) -> None:
        """Deletes a consumer; what it was given since we looked is listed in the same step and put back after it."""
        stream, group = self._names.stream, self._names.group
        pending, dropped = self._redis.transaction(
            [
                ("XPENDING", stream, group, "-", "+", _MOST_PENDING, consumer),
                ("XGROUP", "DELCONSUMER", stream, group, consumer),
            ]
        )
        if dropped:
            self._redis.call("XCLAIM", stream, group, consumer, 0, *(row[0] for row in pending), "FORCE", "JUSTID")

    def _pending(self) -> Reply | None:
        """The summary of the pending list: how many, the lowest id, the highest, by consumer. None without a group."""
        try:
            return self._redis.call("XPENDING", self._names.stream, self._names.group)
        except StreamStateLost:
            return None

    def _consumers(self) -> list[dict[bytes, Reply]]:
        try:
            return [
                _pairs(each) for each in self._redis.call("XINFO", "CONSUMERS", self._names.stream, self._names.group)
            ]
        except StreamStateLost:
            return []


def _pairs(flat: Reply) -> dict[bytes, Reply]:
    return dict(zip(flat[::2], flat[1::2], strict=True))


def _after(entry_id: bytes) -> bytes:
    """The least id that is greater."""
    milliseconds, _, number = entry_id.partition(b"-")
    return b"%s-%d" % (milliseconds, int(number) + 1)


def _age(entry_id: bytes, now: Reply) -> timedelta:
    """How long ago an entry was added, by the server's clock (TIME: seconds, microseconds)."""
    added_ms = int(entry_id.partition(b"-")[0])
    now_ms = int(now[0]) * 1000 + int(now[1]) // 1000
    return timedelta(milliseconds=max(0, now_ms - added_ms))
