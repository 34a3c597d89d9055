"""What can go wrong with the stream, as one class per decision that the caller can take."""

import ssl
from enum import StrEnum
from typing import Final

from redis import exceptions as redis

LONGEST_DETAIL: Final = 300


class Cause(StrEnum):
    """Why Redis cannot serve at the moment; a closed set, fit for a metric's label."""

    CONNECTION = "connection"
    TIMEOUT = "timeout"
    POOL_EXHAUSTED = "pool_exhausted"
    KNOWN_DOWN = "known_down"
    MAX_CLIENTS = "max_clients"
    LOADING = "loading"
    READONLY = "readonly"
    MISCONF = "misconf"
    NOREPLICAS = "noreplicas"
    OOM = "oom"
    MASTERDOWN = "masterdown"
    CLUSTERDOWN = "clusterdown"
    MOVED = "moved"
    BUSY = "busy"
    UNEXPECTED = "unexpected"


class StreamsError(Exception):
    """An operation on the stream failed."""


class RedisUnavailable(StreamsError):
    """Redis cannot serve now; what was asked may or may not have been done. PostgreSQL carries the work meanwhile."""

    def __init__(self, cause: Cause, detail: str) -> None:
        super().__init__(f"{cause}: {detail}")
        self.cause = cause
        self.detail = detail


class StreamStateLost(StreamsError):
    """The stream or its group is gone (flushed, deleted, restarted empty): recreate the group and sweep PostgreSQL."""


class RedisMisconfigured(StreamsError):
    """Redis answers, but not to us: wrong password, no permission, a key of another type. Waiting does not help."""


class RedisRightMissing(RedisMisconfigured):
    """The Redis user may not run a command, or not on one of our keys."""


class GroupExists(StreamsError):
    """The consumer group was there already."""


Meaning = Cause | type[StreamsError]

# redis-py strips ERR, and the code of a reply that it has a class for; all other codes stay in the text.
_BY_CLASS: Final[dict[type[Exception], Meaning]] = {
    redis.TimeoutError: Cause.TIMEOUT,
    redis.BusyLoadingError: Cause.LOADING,
    redis.ReadOnlyError: Cause.READONLY,
    redis.OutOfMemoryError: Cause.OOM,
    redis.MasterDownError: Cause.MASTERDOWN,
    redis.ClusterDownError: Cause.CLUSTERDOWN,
    redis.TryAgainError: Cause.CLUSTERDOWN,
    redis.MovedError: Cause.MOVED,
    redis.AskError: Cause.MOVED,
    redis.AuthenticationError: RedisMisconfigured,
    redis.AuthorizationError: RedisMisconfigured,
    redis.AuthenticationWrongNumberOfArgsError: RedisMisconfigured,
    redis.NoPermissionError: RedisRightMissing,
    redis.ClusterCrossSlotError: RedisMisconfigured,
}

_BY_PREFIX: Final[dict[str, Meaning]] = {
    "max number of clients reached": Cause.MAX_CLIENTS,
    "MISCONF": Cause.MISCONF,
    "NOREPLICAS": Cause.NOREPLICAS,
    "BUSY ": Cause.BUSY,
    # To a reader on a primary that became a replica; "UNBLOCKED the stream key no longer exists" is another matter.
    "UNBLOCKED force": Cause.READONLY,
    "UNBLOCKED": StreamStateLost,
    "NOGROUP": StreamStateLost,
    "no such key": StreamStateLost,
    "BUSYGROUP": GroupExists,
    "WRONGTYPE": RedisMisconfigured,
    "Transaction discarded because of: NOPERM": RedisRightMissing,  # EXEC itself
    "DENIED": RedisMisconfigured,
    "unknown command": RedisMisconfigured,
    "DB index is out of range": RedisMisconfigured,
}


def translate(error: redis.RedisError) -> StreamsError:
    """What an error of redis-py means to us. One that nobody foresaw is an outage: Redis is only the fast path."""
    detail = str(error)[:LONGEST_DETAIL]
    if refusal := _tls_refusal(error):
        return RedisMisconfigured(f"TLS failed: {refusal}"[:LONGEST_DETAIL])
    meaning = _meaning(type(error), detail)
    return RedisUnavailable(meaning, detail) if isinstance(meaning, Cause) else meaning(detail)


def _tls_refusal(error: BaseException) -> str:
    """Why one side did not trust the other, or does not speak TLS; empty where a connection only broke."""
    cause = error.__cause__ or error.__context__
    while cause is not None and not isinstance(cause, ssl.SSLError):
        cause = cause.__cause__ or cause.__context__
    match cause:
        case ssl.SSLCertVerificationError():
            return f"the server's certificate is refused: {cause.verify_message or cause.reason}"
        case ssl.SSLError(reason="WRONG_VERSION_NUMBER" | "RECORD_LAYER_FAILURE"):
            return "the server speaks no TLS on this port"
        case ssl.SSLError(reason=str(reason)) if "ALERT" in reason and "INTERNAL_ERROR" not in reason:
            return f"the server refuses us: {reason}"
    return ""


def _meaning(kind: type[Exception], detail: str) -> Meaning:
    if kind in _BY_CLASS:
        return _BY_CLASS[kind]
    for prefix, meaning in _BY_PREFIX.items():
        if detail.startswith(prefix):
            return meaning
    return Cause.CONNECTION if issubclass(kind, redis.ConnectionError) else Cause.UNEXPECTED
