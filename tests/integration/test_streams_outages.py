"""The stream queue on a server that fails: slow, frozen, flushed, full, read-only, locked, gone."""

import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
import redis
from streams_kit import AT_ONCE, NAMES, NOON, OPERATIONS, Sides, as_user, sides_of

from m10actors.embedded import EmbeddedServers
from m10actors.streams import (
    Cause,
    DeadLetter,
    Entry,
    RedisMisconfigured,
    RedisUnavailable,
    StreamsError,
    StreamStateLost,
)
from m10actors.testing.proxy import FaultProxy
from m10actors.testing.waiting import eventually

LONG = timedelta(seconds=60)
TIMEOUT = timedelta(milliseconds=100)
PATIENCE = 30.0  # seconds: less than redis-py by its defaults would take for one, and far more than all take here


@pytest.fixture
def raw(redis_url: str) -> Iterator[redis.Redis]:
    """An administrator, who puts right what a test has set."""
    with redis.Redis.from_url(redis_url) as client:
        kept = {name: client.config_get(name)[name] for name in ("maxmemory", "min-replicas-to-write")}
        yield client
        client.replicaof("NO", "ONE")
        for name, value in kept.items():
            client.config_set(name, value)
        client.acl_deluser("guest")


@pytest.fixture
def sides(redis_url: str, raw: redis.Redis) -> Iterator[Sides]:
    with sides_of(redis_url) as sides:
        sides.queue.ensure_group()
        yield sides


@pytest.fixture
def proxy(servers: EmbeddedServers, redis_url: str) -> Iterator[FaultProxy]:
    with FaultProxy(servers.valkey.socket) as proxy:
        yield proxy


def through(proxy: FaultProxy) -> str:
    assert not isinstance(proxy.address, Path)
    return f"redis://{proxy.address[0]}:{proxy.address[1]}/0"


def cause_of(action: Callable[[], object]) -> Cause:
    with pytest.raises(RedisUnavailable) as caught:
        action()
    return caught.value.cause


@contextmanager
def waiting_read(sides: Sides, raw: redis.Redis) -> Iterator[list[StreamsError]]:
    """A `read` that waits in the server while the block runs, and afterwards the error that it ended with."""
    errors: list[StreamsError] = []

    def read() -> None:
        try:
            sides.queue.read(10, LONG)
        except StreamsError as error:
            errors.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    eventually(lambda: raw.info("clients")["blocked_clients"])
    yield errors
    reader.join(10)
    assert not reader.is_alive()


def test_an_entry_whose_reply_was_lost_is_added_once(sides: Sides, proxy: FaultProxy, raw: redis.Redis) -> None:
    """T3: redis-py would send the command again."""
    with sides_of(through(proxy)) as far:
        far.monitor.probe()
        proxy.swallow_replies()
        assert cause_of(lambda: far.client.call("XADD", NAMES.stream, "*", "candidate_id", 1)) is Cause.CONNECTION
        proxy.clean()
        assert raw.xlen(NAMES.stream) == 1


def test_a_client_with_the_defaults_of_the_library_adds_it_twice(proxy: FaultProxy, raw: redis.Redis) -> None:
    """T3, the trap itself: should this fail after an upgrade, the library has thought better of it."""
    host, port = proxy.address  # type: ignore[misc]
    with redis.Redis(host, port) as careless:
        careless.ping()
        proxy.swallow_replies()
        adding = threading.Thread(target=careless.xadd, args=(NAMES.stream, {"candidate_id": 1}))
        adding.start()
        eventually(lambda: proxy.accepted > 1)  # it lost its connection, and connects again
        proxy.clean()
        adding.join()
    assert raw.xlen(NAMES.stream) >= 2


def test_entries_whose_delivery_was_lost_are_found_again_at_once(sides: Sides, proxy: FaultProxy) -> None:
    """T4."""
    sides.add(1, 2, 3)
    with sides_of(through(proxy)) as far:
        [in_hand] = far.queue.read(1, AT_ONCE)
        proxy.swallow_replies()
        assert cause_of(lambda: far.queue.read(10, AT_ONCE)) is Cause.CONNECTION
        proxy.clean()
        found = far.queue.read_own_pending({in_hand.entry_id}, 10)
        assert [entry.candidate_id for entry in found if isinstance(entry, Entry)] == [2, 3]
        assert far.queue.read(10, AT_ONCE) == []


def test_a_wait_longer_than_the_timeout_of_commands_is_no_error(redis_url: str) -> None:
    """T5."""
    with sides_of(redis_url, timeout=timedelta(milliseconds=100)) as sides:
        sides.queue.ensure_group()
        assert sides.queue.read(1, timedelta(milliseconds=300)) == []


@contextmanager
def frozen(servers: EmbeddedServers) -> Iterator[None]:
    assert servers.valkey.pid is not None
    os.kill(servers.valkey.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(servers.valkey.pid, signal.SIGCONT)


@pytest.mark.parametrize("connected", [True, False], ids=["connected", "not yet connected"])
def test_no_operation_waits_longer_for_a_frozen_server_than_it_may(
    servers: EmbeddedServers, redis_url: str, connected: bool
) -> None:
    """T6: a default client waits for 59 seconds, and its XADD is done later all the same."""
    with sides_of(redis_url, TIMEOUT) as sides:
        if connected:
            sides.queue.ensure_group()
            sides.queue.read(1, AT_ONCE)
        with frozen(servers), ThreadPoolExecutor(1) as caller:
            for name, operation in OPERATIONS.items():
                call = caller.submit(cause_of, partial(operation, sides))
                assert call.result(PATIENCE) is Cause.TIMEOUT, name  # it is frozen until all have returned
        eventually(lambda: sides.client.call("ECHO", "in step") == b"in step")


def test_replies_that_come_too_late_are_not_taken_for_later_ones(servers: EmbeddedServers, redis_url: str) -> None:
    with sides_of(redis_url, TIMEOUT, connections=1) as sides:
        sides.monitor.probe()
        with frozen(servers):
            assert cause_of(lambda: sides.client.call("ECHO", "late")) is Cause.TIMEOUT
        assert sides.client.call("ECHO", "next") == b"next"


def test_a_server_that_trickles_its_reply_is_too_late_too() -> None:
    """redis-py's timeouts are for one read each: a byte in time, and another, would keep it for ever."""
    with trickling_server() as url, sides_of(url, TIMEOUT) as sides:
        assert cause_of(sides.monitor.probe) is Cause.TIMEOUT


@contextmanager
def trickling_server() -> Iterator[str]:
    """Answers with one byte every 20 ms, to one client."""
    listener = socket.create_server(("127.0.0.1", 0))
    done = threading.Event()

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            while not done.wait(0.02):
                try:
                    connection.sendall(b"+")
                except OSError:
                    return

    server = threading.Thread(target=serve)
    server.start()
    try:
        yield f"redis://127.0.0.1:{listener.getsockname()[1]}/0"
    finally:
        done.set()
        server.join()
        listener.close()


LOSSES: dict[str, Callable[[redis.Redis], object]] = {
    "FLUSHALL": lambda raw: raw.flushall(),
    "DEL": lambda raw: raw.delete(NAMES.stream),
    "XGROUP DESTROY": lambda raw: raw.xgroup_destroy(NAMES.stream, NAMES.group),
}


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_a_group_lost_under_a_waiting_read_is_told_and_made_again(
    sides: Sides, raw: redis.Redis, loss: Callable[[redis.Redis], object]
) -> None:
    """T7."""
    with waiting_read(sides, raw) as errors:
        loss(raw)
    assert [type(error) for error in errors] == [StreamStateLost]
    with pytest.raises(StreamStateLost):
        sides.queue.read(1, AT_ONCE)
    with pytest.raises(StreamStateLost):
        sides.queue.reclaim(AT_ONCE, 1)
    sides.add(1)
    assert sides.queue.ensure_group()
    assert len(sides.queue.read(10, AT_ONCE)) == 1


def test_a_full_server_takes_nothing_new_and_lets_the_work_be_done(sides: Sides, raw: redis.Redis) -> None:
    """T31: PING answers all the while."""
    sides.add(1, 2)
    raw.config_set("maxmemory", 1)
    assert cause_of(sides.monitor.probe) is Cause.OOM
    assert cause_of(lambda: sides.add(3)) is Cause.OOM
    first, second = sides.queue.read(10, AT_ONCE)
    letter = DeadLetter("uuid", "1:1", "poison", NOON)
    assert cause_of(lambda: sides.queue.dead_letter(letter, first.fields, first.entry_id)) is Cause.OOM
    assert len(sides.queue.read_own_pending({second.entry_id}, 10)) == 1
    sides.queue.finish([first.entry_id, second.entry_id])
    stats = sides.monitor.stats()
    assert (stats.length, stats.pending, stats.dead_letter_length) == (0, 0, 0)


def test_a_server_without_its_replicas_refuses_to_acknowledge_and_does_so_later(sides: Sides, raw: redis.Redis) -> None:
    """T34."""
    sides.add(1)
    read = [entry.entry_id for entry in sides.queue.read(1, AT_ONCE)]
    raw.config_set("min-replicas-to-write", 1)
    assert cause_of(sides.monitor.probe) is Cause.NOREPLICAS
    assert cause_of(lambda: sides.queue.finish(read)) is Cause.NOREPLICAS
    raw.config_set("min-replicas-to-write", 0)
    sides.queue.finish(read)
    assert sides.monitor.stats().length == 0


def test_a_demoted_server_is_left_and_its_address_looked_up_again(
    sides: Sides, proxy: FaultProxy, raw: redis.Redis
) -> None:
    """T35: behind a virtual address, the same connection would stay with the old primary for ever."""
    with sides_of(through(proxy)) as far:
        far.add(1)
        connections = proxy.accepted
        far.monitor.probe()
        assert proxy.accepted == connections
        raw.replicaof("127.0.0.1", "1")
        assert cause_of(lambda: far.add(2)) is Cause.READONLY
        assert cause_of(lambda: far.queue.finish([b"1-0"])) is Cause.READONLY
        raw.replicaof("NO", "ONE")
        far.add(3)
        assert proxy.accepted > connections + 1


def test_a_read_that_waits_on_a_server_that_is_demoted_is_an_outage_and_no_loss(sides: Sides, raw: redis.Redis) -> None:
    """T35, T7: the server says UNBLOCKED, as older ones do for a stream that is gone."""
    with waiting_read(sides, raw) as errors:
        raw.replicaof("127.0.0.1", "1")
    [error] = errors
    assert isinstance(error, RedisUnavailable)
    assert error.cause in (Cause.READONLY, Cause.CONNECTION)


def test_a_wrong_password_is_a_matter_of_configuration(redis_url: str, raw: redis.Redis) -> None:
    """T36."""
    raw.acl_setuser("guest", enabled=True, passwords=["+right"], categories=["+@all"], keys=["*"])
    with sides_of(as_user(redis_url, "guest:wr0ng")) as sides, pytest.raises(RedisMisconfigured) as caught:
        sides.monitor.probe()
    assert "wr0ng" not in str(caught.value)


def test_a_user_who_is_switched_off_while_we_run_is_a_matter_of_configuration(raw: redis.Redis, redis_url: str) -> None:
    """T36: an alarm for people, not an outage that passes."""
    raw.acl_setuser("guest", enabled=True, passwords=["+right"], categories=["+@all"], keys=["*"])
    with sides_of(as_user(redis_url, "guest:right")) as sides:
        sides.monitor.probe()
        raw.acl_setuser("guest", categories=["-@write"])
        with pytest.raises(RedisMisconfigured):
            sides.add(1)
        raw.acl_setuser("guest", enabled=False)
        with pytest.raises(StreamsError):
            sides.monitor.probe()
        with pytest.raises(RedisMisconfigured):
            sides.monitor.probe()


def test_connections_that_are_all_in_use_are_no_outage_of_the_server(redis_url: str, raw: redis.Redis) -> None:
    """T37."""
    with sides_of(redis_url, TIMEOUT, connections=2) as sides:
        blockers = [
            threading.Thread(target=sides.client.call, args=("BLPOP", "nothing", "10"), kwargs={"timeout": LONG})
            for _ in range(2)
        ]
        for blocker in blockers:
            blocker.start()
        eventually(lambda: raw.info("clients")["blocked_clients"] == 2)
        assert cause_of(sides.monitor.probe) is Cause.POOL_EXHAUSTED
        raw.rpush("nothing", 1, 2)
        for blocker in blockers:
            blocker.join()
        sides.monitor.probe()


def test_a_server_that_is_not_there_is_an_outage(tmp_path: Path) -> None:
    with sides_of(f"unix://{tmp_path}/nothing") as sides:
        for operation in OPERATIONS.values():
            assert cause_of(lambda act=operation: act(sides)) is Cause.CONNECTION  # type: ignore[misc]


def test_a_restart_of_the_server_costs_idle_connections_nothing(servers: EmbeddedServers, sides: Sides) -> None:
    """T108: each idle connection is stale now; none of them may fail a command."""
    sides.add(1)
    sides.queue.read(1, AT_ONCE)
    servers.valkey.kill()
    servers.valkey.start()
    sides.monitor.probe()
    sides.queue.read(1, AT_ONCE)


def test_a_closed_client_leaves_no_connection_behind(redis_url: str, raw: redis.Redis) -> None:
    before = raw.info("clients")["connected_clients"]
    with sides_of(redis_url) as sides:
        sides.queue.ensure_group()
        sides.queue.read(1, AT_ONCE)
        assert raw.info("clients")["connected_clients"] > before
    eventually(lambda: raw.info("clients")["connected_clients"] == before)
