"""The stream queue: the only place that speaks to Redis."""

from m10actors.streams.client import RedisClient
from m10actors.streams.codec import BadEntry, BadReason, Entry, Message
from m10actors.streams.dead_letters import DeadLetter, DeadLetterEntry, DeadLetterStream
from m10actors.streams.errors import Cause, RedisMisconfigured, RedisUnavailable, StreamsError, StreamStateLost
from m10actors.streams.monitor import StreamMonitor, StreamStats
from m10actors.streams.names import StreamNames
from m10actors.streams.producer import AddOutcome, StreamProducer
from m10actors.streams.queue import FIRST, Reclaimed, Stalled, StreamQueue
from m10actors.streams.rights import acl_rules

__all__ = [
    "FIRST",
    "AddOutcome",
    "BadEntry",
    "BadReason",
    "Cause",
    "DeadLetter",
    "DeadLetterEntry",
    "DeadLetterStream",
    "Entry",
    "Message",
    "Reclaimed",
    "RedisClient",
    "RedisMisconfigured",
    "RedisUnavailable",
    "Stalled",
    "StreamMonitor",
    "StreamNames",
    "StreamProducer",
    "StreamQueue",
    "StreamStateLost",
    "StreamStats",
    "StreamsError",
    "acl_rules",
]
