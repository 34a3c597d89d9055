"""What each error of redis-py means, by what a server really says."""

import pytest
from redis import exceptions as redis
from redis.connection import DefaultParser

from m10actors.streams.errors import (
    LONGEST_DETAIL,
    Cause,
    GroupExists,
    RedisMisconfigured,
    RedisRightMissing,
    RedisUnavailable,
    StreamsError,
    StreamStateLost,
    translate,
)

UNAVAILABLE = {
    "LOADING Redis is loading the dataset in memory": Cause.LOADING,
    "READONLY You can't write against a read only replica.": Cause.READONLY,
    "UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)": Cause.READONLY,
    "MISCONF Errors writing to the AOF file: No space left on device": Cause.MISCONF,
    "NOREPLICAS Not enough good replicas to write.": Cause.NOREPLICAS,
    "OOM command not allowed when used memory > 'maxmemory'.": Cause.OOM,
    "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.": Cause.MASTERDOWN,
    "CLUSTERDOWN The cluster is down": Cause.CLUSTERDOWN,
    "TRYAGAIN Multiple keys request during rehashing of slot": Cause.CLUSTERDOWN,
    "MOVED 3999 127.0.0.1:6381": Cause.MOVED,
    "ASK 3999 127.0.0.1:6381": Cause.MOVED,
    "BUSY Redis is busy running a script.": Cause.BUSY,
    "ERR max number of clients reached": Cause.MAX_CLIENTS,
    "ERR something that no version has said yet": Cause.UNEXPECTED,
    "NEWCODE of some later version": Cause.UNEXPECTED,
}

OTHERS: dict[str, type[StreamsError]] = {
    "NOGROUP No such key 's' or consumer group 'g' in XREADGROUP with GROUP option": StreamStateLost,
    "NOGROUP the consumer group this client was blocked on no longer exists": StreamStateLost,
    "UNBLOCKED the stream key no longer exists": StreamStateLost,
    "ERR no such key": StreamStateLost,
    "BUSYGROUP Consumer Group name already exists": GroupExists,
    "WRONGPASS invalid username-password pair or user is disabled.": RedisMisconfigured,
    "NOAUTH Authentication required.": RedisMisconfigured,
    "NOPERM User m10 has no permissions to run the 'xadd' command": RedisRightMissing,
    "DENIED Redis is running in protected mode": RedisMisconfigured,
    "WRONGTYPE Operation against a key holding the wrong kind of value": RedisMisconfigured,
    "CROSSSLOT Keys in request don't hash to the same slot": RedisMisconfigured,
    "ERR unknown command 'XAUTOCLAIM', with args beginning with: ": RedisMisconfigured,
    "ERR DB index is out of range": RedisMisconfigured,
    "ERR AUTH <password> called without any password configured for the default user. "
    "Are you sure your configuration is correct?": RedisMisconfigured,
}


@pytest.mark.parametrize(("reply", "cause"), UNAVAILABLE.items())
def test_a_server_that_cannot_serve_now_is_unavailable_with_its_cause(reply: str, cause: Cause) -> None:
    error = translate(DefaultParser.parse_error(reply))  # type: ignore[no-untyped-call]
    assert isinstance(error, RedisUnavailable)
    assert error.cause is cause


@pytest.mark.parametrize(("reply", "kind"), OTHERS.items())
def test_a_reply_that_waiting_does_not_cure_is_an_error_of_its_own(reply: str, kind: type[StreamsError]) -> None:
    error = translate(DefaultParser.parse_error(reply))  # type: ignore[no-untyped-call]
    assert type(error) is kind


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (redis.ConnectionError("Error 111 connecting to localhost:6379. Connection refused."), Cause.CONNECTION),
        (redis.TimeoutError("Timeout reading from socket"), Cause.TIMEOUT),
        (redis.InvalidResponse("Protocol error: b'HTTP/1.1 400 Bad Request'"), Cause.UNEXPECTED),
    ],
)
def test_a_failure_of_the_connection_is_unavailable(error: redis.RedisError, cause: Cause) -> None:
    translated = translate(error)
    assert isinstance(translated, RedisUnavailable)
    assert translated.cause is cause


def test_a_reply_of_any_length_becomes_a_short_message() -> None:
    assert len(str(translate(redis.ResponseError("x" * 100_000)))) < LONGEST_DETAIL + 50
