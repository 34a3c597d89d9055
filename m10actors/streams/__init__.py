"""The stream queue: the only place that speaks to Redis."""

from m10actors.streams.checkup import Finding, checkup
from m10actors.streams.client import RedisClient
from m10actors.streams.codec import BadEntry, BadReason, Entry, Message
from m10actors.streams.dead_letters import DeadLetter, DeadLetterEntry, DeadLetterStream
from m10actors.streams.errors import (
    Cause,
    RedisMisconfigured,
    RedisRightMissing,
    RedisUnavailable,
    StreamsError,
    StreamStateLost,
)
from m10actors.streams.monitor import Head, StreamMonitor, StreamStats
from m10actors.streams.names import StreamNames
from m10actors.streams.pending import PendingEntries
from m10actors.streams.producer import AddOutcome, StreamProducer
from m10actors.streams.queue import FIRST, Reclaimed, Stalled, StreamQueue
from m10actors.streams.rights import NEEDED, OPTIONAL, SENTINEL_RULES, acl_rules, check_rights, unknown_commands

__all__ = [
    "FIRST",
    "NEEDED",
    "OPTIONAL",
    "SENTINEL_RULES",
    "AddOutcome",
    "BadEntry",
    "BadReason",
    "Cause",
    "DeadLetter",
    "DeadLetterEntry",
    "DeadLetterStream",
    "Entry",
    "Finding",
    "Head",
    "Message",
    "PendingEntries",
    "Reclaimed",
    "RedisClient",
    "RedisMisconfigured",
    "RedisRightMissing",
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
    "check_rights",
    "checkup",
    "unknown_commands",
]
