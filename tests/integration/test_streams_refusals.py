"""Every refusal that a server can be brought to utter, each with what it means to us (T7, T31 to T36).

On a server of its own, which nobody else's tests find in that state.
"""

import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis
from streams_kit import AT_ONCE, NAMES, Sides, sides_of

from m10actors.embedded.data_folder import DataFolder
from m10actors.embedded.valkey import ValkeyServer
from m10actors.streams import Cause, RedisMisconfigured, RedisRightMissing, RedisUnavailable, StreamsError
from m10actors.testing.waiting import eventually

SECONDS_TO_LOAD = 1.0
KEYS_TO_LOAD = 1000


class SlowlyLoading(ValkeyServer):
    """Takes its time for each key that it loads, and answers meanwhile."""

    def command(self) -> list[str]:
        a_key_us = str(int(SECONDS_TO_LOAD * 1_000_000 / KEYS_TO_LOAD))
        slowly = ("--key-load-delay", a_key_us, "--loading-process-events-interval-bytes", "1024")
        return [*super().command(), "--enable-debug-command", "yes", *slowly]


@pytest.fixture(scope="module")
def server() -> Iterator[ValkeyServer]:
    with tempfile.TemporaryDirectory(prefix="m10-") as folder:
        data = DataFolder(Path(folder, "data"))
        data.acquire()
        server = SlowlyLoading(data, start_timeout=30.0, fsync=False)
        try:
            server.start()
            yield server
        finally:
            server.stop()
            data.release()


@pytest.fixture
def admin(server: ValkeyServer) -> Iterator[Any]:
    """One connection, opened before anything is refused."""
    with redis.Redis(unix_socket_path=str(server.socket), single_connection_client=True) as client:
        client.flushall()
        yield client


@pytest.fixture
def sides(server: ValkeyServer, admin: Any) -> Iterator[Sides]:
    """With entry 1 in hand, entry 2 undelivered."""
    with sides_of(f"unix://{server.socket}") as sides:
        sides.queue.ensure_group()
        sides.add(1, 2)
        sides.queue.read(1, AT_ONCE)
        yield sides


@contextmanager
def configured(admin: Any, name: str, value: str | int) -> Iterator[None]:
    before = admin.config_get(name)[name]
    admin.config_set(name, value)
    try:
        yield
    finally:
        admin.config_set(name, before)


@contextmanager
def replica_of_nobody(admin: Any) -> Iterator[None]:
    admin.replicaof("127.0.0.1", "1")
    try:
        yield
    finally:
        admin.replicaof("NO", "ONE")


@contextmanager
def unable_to_save(server: ValkeyServer, admin: Any) -> Iterator[None]:
    """Something lies where the snapshot belongs."""
    in_the_way = server.folder / "dump.rdb"
    in_the_way.unlink(missing_ok=True)
    (in_the_way / "full").mkdir(parents=True)
    try:
        with configured(admin, "save", "3600 1"):
            admin.bgsave()
            eventually(lambda: admin.info("persistence")["rdb_last_bgsave_status"] == "err")
            yield
    finally:
        shutil.rmtree(in_the_way)


def means(action: Callable[[], object]) -> Cause | type[StreamsError] | None:
    """What an operation failed with; None if it did not."""
    try:
        action()
    except RedisUnavailable as error:
        return error.cause
    except StreamsError as error:
        return type(error)
    return None


def all_mean(sides: Sides) -> dict[str, Cause | type[StreamsError] | None]:
    """Each kind of operation that the work takes."""
    return {
        "probe": means(sides.monitor.probe),
        "add": means(lambda: sides.add(3)),
        "read": means(lambda: sides.queue.read(1, AT_ONCE)),
        "reclaim": means(lambda: sides.queue.reclaim(AT_ONCE, 10)),
        "finish": means(lambda: sides.queue.finish([b"1-0"])),
        "look": means(sides.monitor.stats),
    }


WRITES = ("probe", "add", "read", "reclaim", "finish")


def test_a_server_that_cannot_save_refuses_to_hand_out_and_to_acknowledge(
    server: ValkeyServer, admin: Any, sides: Sides
) -> None:
    """T33: even a ping would be an error."""
    with unable_to_save(server, admin):
        assert all_mean(sides) == dict.fromkeys(WRITES, Cause.MISCONF) | {"look": None}
        with pytest.raises(redis.ResponseError, match="MISCONF"):
            admin.ping()
    assert means(sides.monitor.probe) is None


def test_a_server_that_is_loading_is_waited_for(admin: Any, sides: Sides) -> None:
    with admin.pipeline() as many:
        for number in range(KEYS_TO_LOAD):
            many.set(f"some key {number}", "x" * 100)
        many.execute()
    reloading = threading.Thread(target=admin.execute_command, args=("DEBUG", "RELOAD"))
    reloading.start()
    eventually(lambda: means(sides.monitor.probe) is Cause.LOADING)
    assert set(all_mean(sides).values()) == {Cause.LOADING}
    reloading.join(SECONDS_TO_LOAD * 10)
    assert means(sides.monitor.probe) is None


def test_a_replica_takes_no_writes_and_one_without_its_primary_may_not_even_be_looked_at(
    admin: Any, sides: Sides
) -> None:
    """T35."""
    with replica_of_nobody(admin):
        assert all_mean(sides) == dict.fromkeys(WRITES, Cause.READONLY) | {"look": None}
        with configured(admin, "replica-serve-stale-data", "no"):
            assert means(sides.monitor.stats) is Cause.MASTERDOWN
    assert means(sides.monitor.probe) is None


def test_a_server_that_is_busy_with_somebodys_script_is_an_outage(
    server: ValkeyServer, admin: Any, sides: Sides
) -> None:
    def run() -> None:
        with pytest.raises(redis.ResponseError, match="killed"):
            admin.eval("while true do end", 0)

    with configured(admin, "busy-reply-threshold", 1):
        script = threading.Thread(target=run)
        script.start()
        try:
            eventually(lambda: means(sides.monitor.probe) is Cause.BUSY)
            assert set(all_mean(sides).values()) == {Cause.BUSY}
        finally:
            with redis.Redis(unix_socket_path=str(server.socket)) as another:
                another.script_kill()
            script.join()
    assert means(sides.monitor.probe) is None


def test_a_password_that_we_were_not_told_is_a_matter_of_configuration(
    server: ValkeyServer, admin: Any, sides: Sides
) -> None:
    """T36: NOAUTH for those who have none, WRONGPASS for those who have another."""
    with configured(admin, "requirepass", "rotated"):
        admin.execute_command("CLIENT", "KILL", "TYPE", "normal")
        assert means(sides.monitor.probe) is RedisMisconfigured
        with sides_of(f"unix://:before@{server.socket}") as others:
            assert set(all_mean(others).values()) == {RedisMisconfigured}
    assert means(sides.monitor.probe) is None


def test_a_command_that_is_not_permitted_is_a_matter_of_configuration(admin: Any, sides: Sides) -> None:
    """T36: NOPERM."""
    admin.acl_setuser("default", commands=["-xadd", "-xack"], enabled=True)
    try:
        found = all_mean(sides)
    finally:
        admin.acl_setuser("default", categories=["+@all"], enabled=True)
    assert {name for name, meaning in found.items() if meaning is not None} == {"add", "finish", "probe"}
    assert found["add"] is found["finish"] is found["probe"] is RedisRightMissing


@pytest.mark.parametrize(
    ("name", "value", "refused", "cause"),
    [
        ("maxmemory", 1, {"probe", "add"}, Cause.OOM),
        ("min-replicas-to-write", 1, {"probe", "add", "read", "reclaim", "finish"}, Cause.NOREPLICAS),
    ],
)
def test_what_a_full_server_and_one_without_replicas_still_do(
    admin: Any, sides: Sides, name: str, value: int, refused: set[str], cause: Cause
) -> None:
    """T31, T34: full, it lets the work be done, which may be the cure; without replicas, nothing."""
    with configured(admin, name, value):
        found = all_mean(sides)
    assert {name: meaning for name, meaning in found.items() if meaning} == dict.fromkeys(refused, cause)


def test_more_clients_than_there_is_room_for_and_a_database_that_is_not_there(server: ValkeyServer, admin: Any) -> None:
    with configured(admin, "maxclients", 1), sides_of(f"unix://{server.socket}") as sides:
        assert means(sides.monitor.probe) in (Cause.MAX_CLIENTS, Cause.CONNECTION)
    with sides_of(f"unix://{server.socket}?db=999") as sides:
        assert means(sides.monitor.probe) is RedisMisconfigured


def test_a_key_that_is_no_stream_is_a_matter_of_configuration(admin: Any, sides: Sides) -> None:
    admin.delete(NAMES.stream)
    admin.set(NAMES.stream, "not a stream")
    found = all_mean(sides)
    assert found["add"] is found["read"] is found["look"] is RedisMisconfigured
