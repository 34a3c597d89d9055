"""The dead-letter stream: a copy, for other programs and for eyes, of what PostgreSQL archives.

It has no length limit of its own: other programs may add to it too, so an entry leaves only once it is in the archive.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from m10actors.streams.client import RedisClient
from m10actors.streams.codec import Fields, all_fields, timestamp
from m10actors.streams.names import StreamNames

BEGINNING: Final = b"0-0"


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """What the dead letter of record says. `dl_msg_id` is a UUID made before the record, which its copies share."""

    dl_msg_id: str
    original_msg_id: str
    reason: str
    dead_lettered_at: datetime


@dataclass(frozen=True, slots=True)
class DeadLetterEntry:
    """An entry of the dead-letter stream as it lies there, whoever wrote it."""

    entry_id: bytes
    fields: Fields


def dead_letter_fields(
    letter: DeadLetter, fields: Fields, stream: str, consumer: str, entry_id: bytes | None
) -> list[str | bytes]:
    """The alternating names and values of a dead letter: its own, then every original field as `orig_<field>`."""
    flat: list[str | bytes] = [
        "dl_msg_id", letter.dl_msg_id,
        "original_msg_id", letter.original_msg_id,
        "original_entry_id", entry_id or "",
        "original_stream", stream,
        "reason", letter.reason,
        "dead_lettered_at", timestamp(letter.dead_lettered_at),
        "consumer", consumer,
    ]  # fmt: skip
    for name, value in fields.items():
        flat += [b"orig_" + name, value]
    return flat


class DeadLetterStream:
    """What the reconciling job needs: page through the stream, and remove what the archive has."""

    def __init__(self, redis: RedisClient, names: StreamNames) -> None:
        self._redis = redis
        self._key = names.dead_letter

    def page(self, count: int, after: bytes = BEGINNING) -> list[DeadLetterEntry]:
        """Up to `count` entries that follow the id `after`, oldest first."""
        rows = self._redis.call("XRANGE", self._key, b"(" + after, "+", "COUNT", count)
        return [DeadLetterEntry(row[0], all_fields(row[1])) for row in rows]

    def remove(self, entry_ids: Sequence[bytes]) -> None:
        """Deletes entries, which the archive must have."""
        if entry_ids:
            self._redis.call("XDEL", self._key, *entry_ids)
