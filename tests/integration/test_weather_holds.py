"""What waits for Redis or for a receiver returns when whoever holds the call shuts it, long before its deadline."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from delivery_kit import deliverer, destination, event, raw_server, silent
from schema_kit import in_background

from m10actors.delivery import Outcome
from m10actors.delivery.outcome import Retry
from m10actors.embedded import EmbeddedServers
from m10actors.recovery.dependency import Dependency
from m10actors.streams import Cause, RedisClient, RedisUnavailable, StreamNames, StreamQueue
from m10actors.testing.proxy import FaultProxy
from m10actors.testing.waiting import eventually

LONG = timedelta(minutes=5)


class Held:
    """The calls that are held at the moment."""

    def __init__(self) -> None:
        self.calls: list[Callable[[], object]] = []

    @contextmanager
    def hold(self, shut: Callable[[], object]) -> Iterator[None]:
        self.calls.append(shut)
        try:
            yield
        finally:
            self.calls.remove(shut)

    def shut(self) -> None:
        """Shuts the one call that is under way."""
        [call] = eventually(lambda: list(self.calls))
        call()


def cause_of(call: Callable[[], object]) -> Cause | None:
    try:
        call()
    except RedisUnavailable as error:
        return error.cause
    return None


def test_a_blocking_read_of_the_stream_returns_and_the_next_one_works(redis_url: str) -> None:
    held = Held()
    client = RedisClient(redis_url, timeout=LONG, connections=1, hold=held.hold)
    queue = StreamQueue(client, StreamNames(), "me")
    queue.ensure_group()
    reading = in_background(lambda: cause_of(lambda: queue.read(1, LONG)))
    eventually(lambda: b"xreadgroup" in {each[b"cmd"] for each in clients(client)})
    held.shut()
    assert reading.result(10) is not None
    client.call("XADD", StreamNames().stream, "*", "candidate_id", 1)
    assert len(queue.read(1, LONG)) == 1
    queue.close()
    client.close()


def clients(client: RedisClient) -> list[dict[bytes, bytes]]:
    lines = bytes(client.call("CLIENT", "LIST")).splitlines()
    return [dict(pair.split(b"=", 1) for pair in line.split(b" ")) for line in lines]


def test_a_command_in_a_black_hole_returns(servers: EmbeddedServers) -> None:
    held = Held()
    with FaultProxy(servers.start().valkey_socket) as proxy:
        client = RedisClient("redis://{}:{}/0".format(*proxy.address), timeout=LONG, hold=held.hold)  # type: ignore[misc]
        client.call("PING")
        proxy.dark()
        waiting = in_background(lambda: cause_of(lambda: client.call("PING")))
        held.shut()
        assert waiting.result(10) is not None
        client.close()


def test_while_redis_is_down_nothing_is_sent(redis_url: str) -> None:
    redis = Dependency("redis")
    client = RedisClient(redis_url, timeout=LONG, dependency=redis)
    redis.observe("no route", 0.0)
    assert cause_of(lambda: client.call("PING")) is Cause.KNOWN_DOWN
    redis.observe(None, 1.0)
    assert client.call("PING") == b"PONG"
    client.close()


@pytest.mark.parametrize("kept", [False, True], ids=["a new connection", "the same destination again"])
def test_an_attempt_at_a_receiver_that_says_nothing_returns(kept: bool) -> None:
    held, over = Held(), threading.Event()
    with raw_server(silent(over), silent(over)) as url, deliverer(destination(url, seconds=300), hold=held.hold) as to:
        for _ in range(1 + kept):
            attempt = in_background(lambda: to.deliver(event(), epoch=1))
            held.shut()
            outcome: Outcome = attempt.result(10)
            assert isinstance(outcome, Retry)
        over.set()
