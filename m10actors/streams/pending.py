"""The pending entries list as the reconciling job reads it: every entry that was delivered and not acknowledged."""

from m10actors.streams.client import RedisClient
from m10actors.streams.codec import BadEntry, Entry, decode
from m10actors.streams.errors import StreamStateLost
from m10actors.streams.names import StreamNames


class PendingEntries:
    """Looks, and removes what nobody needs."""

    def __init__(self, redis: RedisClient, names: StreamNames) -> None:
        self._redis = redis
        self._names = names

    def page(self, count: int, after: bytes) -> tuple[list[Entry | BadEntry], bytes | None]:
        """The entries of the next `count` pending ids after `after`, and the last of those ids; None at the end."""
        try:
            rows = self._redis.call("XPENDING", self._names.stream, self._names.group, b"(" + after, "+", count)
        except StreamStateLost:
            return [], None
        if not rows:
            return [], None
        found = self._redis.pipeline([("XRANGE", self._names.stream, row[0], row[0]) for row in rows])
        return [decode(*entries[0]) for entries in found if entries], rows[-1][0]

    def finish(self, entry_ids: list[bytes]) -> None:
        """Acknowledges and deletes them."""
        if entry_ids:
            stream, group = self._names.stream, self._names.group
            self._redis.transaction([("XACK", stream, group, *entry_ids), ("XDEL", stream, *entry_ids)])
