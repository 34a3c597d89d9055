"""The stream queue where little is allowed: a user with the least rights, and a cluster."""

import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis
from streams_kit import AT_ONCE, NAMES, NOON, OPERATIONS, Sides, sides_of

from m10actors.embedded.data_folder import DataFolder
from m10actors.embedded.valkey import ValkeyServer
from m10actors.streams import Cause, DeadLetter, RedisMisconfigured, RedisUnavailable
from m10actors.streams.rights import NEEDED, acl_rules
from m10actors.testing.waiting import eventually


@pytest.fixture
def raw(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url) as client:
        yield client
        client.acl_deluser("guest")


def as_guest(raw: redis.Redis, *, optional: bool) -> str:
    raw.execute_command("ACL", "SETUSER", "guest", ">right", *acl_rules(NAMES, optional=optional))  # type: ignore[no-untyped-call]
    return f"unix://guest:right@{raw.connection_pool.connection_kwargs['path']}"


def test_the_least_rights_are_enough_for_every_operation(raw: redis.Redis) -> None:
    with sides_of(as_guest(raw, optional=True)) as sides:
        sides.queue.ensure_group()
        for operation in OPERATIONS.values():
            operation(sides)
        sides.queue.wake()
        assert sides.monitor.eviction_policy() == "noeviction"


def test_what_is_optional_is_missed_by_nobody_who_works(raw: redis.Redis) -> None:
    with sides_of(as_guest(raw, optional=False)) as sides:
        sides.queue.ensure_group()
        sides.add(1)
        assert len(sides.queue.read(1, AT_ONCE)) == 1
        sides.queue.wake()
        assert sides.monitor.eviction_policy() is None


def test_what_the_queue_cannot_do_without_is_as_old_as_the_oldest_server_that_we_take(redis_url: str) -> None:
    """T42: what came after 6.2 is looked for before it is used, or not used."""
    with sides_of(redis_url) as sides:
        for command in NEEDED:
            _, docs = sides.client.call("COMMAND", "DOCS", command)
            since = docs[docs.index(b"since") + 1].decode()
            assert tuple(map(int, since.split("."))) <= (6, 2, 0), f"{command}: {since}"


@pytest.mark.parametrize(
    "command",
    [("FLUSHALL",), ("KEYS", "*"), ("EVAL", "return 1", 0), ("CONFIG", "GET", "*"), ("GET", "other"), ("ACL", "LIST")],
    ids=lambda command: command[0],
)
def test_the_least_rights_reach_nothing_else(raw: redis.Redis, command: tuple[str | int, ...]) -> None:
    with sides_of(as_guest(raw, optional=True)) as sides, pytest.raises(RedisMisconfigured):
        sides.client.call(*command)


def test_a_key_with_signs_of_a_pattern_opens_no_other_key() -> None:
    assert "~m10:\\*" in acl_rules(type(NAMES)(stream="m10:*"))


class ClusterServer(ValkeyServer):
    """A cluster of one. It wants a TCP port, and for the cluster's own talk another one."""

    def command(self) -> list[str]:
        with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
            port, bus = one.getsockname()[1], two.getsockname()[1]
        own = ("--port", port, "--bind", "127.0.0.1", "--cluster-port", bus, "--cluster-enabled", "yes")
        return [*super().command(), *map(str, own)]


@contextmanager
def starting_cluster() -> Iterator[ClusterServer]:
    """Nobody is in charge of any key yet."""
    with tempfile.TemporaryDirectory(prefix="m10-") as folder:
        data = DataFolder(Path(folder, "data"))
        data.acquire()
        server = ClusterServer(data, start_timeout=30.0, fsync=False)
        try:
            server.start()
            yield server
        finally:
            server.stop()
            data.release()


@pytest.fixture(scope="module")
def cluster_url() -> Iterator[str]:
    with starting_cluster() as cluster, redis.Redis(unix_socket_path=str(cluster.socket)) as raw:
        raw.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        eventually(lambda: b"cluster_state:ok" in raw.execute_command("CLUSTER", "INFO", NEVER_DECODE=True))
        yield f"unix://{cluster.socket}"


def dead_letter(sides: Sides) -> None:
    sides.queue.dead_letter(DeadLetter("uuid", "1:1", "poison", NOON), {}, b"1-0")


def test_in_a_cluster_every_operation_works_on_names_with_a_shared_tag(cluster_url: str) -> None:
    """T38."""
    with sides_of(cluster_url, names=NAMES.tagged("m10")) as sides:
        sides.queue.ensure_group()
        for operation in OPERATIONS.values():
            operation(sides)


def test_in_a_cluster_names_without_a_tag_are_a_matter_of_configuration(cluster_url: str) -> None:
    """T38."""
    with sides_of(cluster_url) as sides, pytest.raises(RedisMisconfigured, match="slot"):
        dead_letter(sides)


def test_a_cluster_in_which_nobody_is_in_charge_of_the_stream_is_an_outage() -> None:
    with (
        starting_cluster() as cluster,
        sides_of(f"unix://{cluster.socket}") as sides,
        pytest.raises(RedisUnavailable) as caught,
    ):
        sides.monitor.probe()
    assert caught.value.cause is Cause.CLUSTERDOWN
