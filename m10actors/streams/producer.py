"""The producer's side: hints for the workers that a candidate is due. PostgreSQL holds the record."""

from collections.abc import Sequence
from dataclasses import dataclass

from m10actors.streams.client import RedisClient
from m10actors.streams.codec import Message
from m10actors.streams.names import StreamNames
from m10actors.streams.packing import additions


@dataclass(frozen=True, slots=True)
class AddOutcome:
    """What became of the messages: those on the stream, and those for which it had no room, in the order given."""

    added: Sequence[Message]
    overflow: Sequence[Message]


class StreamProducer:
    """Adds messages to the stream; shared by any number of threads."""

    def __init__(self, redis: RedisClient, names: StreamNames) -> None:
        self._redis = redis
        self._names = names

    def add(self, messages: Sequence[Message], max_len: int) -> AddOutcome:
        """Adds as many messages as the stream has room for; the rest, the overflow, belongs on the fallback queue.

        Nothing is ever trimmed to make room: an entry that nobody has acknowledged is work. The limit is a soft one,
        since producers that add at the same moment do not see one another. On RedisUnavailable put ALL messages on the
        fallback queue: which of them arrived is unknown, and the same message_id on both ways has one effect.
        """
        room = max(0, max_len - self._redis.call("XLEN", self._names.stream)) if messages else 0
        added, overflow = messages[:room], messages[room:]
        if added:
            self._redis.pipeline(list(additions(self._names.stream, added)))
        return AddOutcome(added, overflow)
