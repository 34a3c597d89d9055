"""The traps of a Redis that answers and refuses (docs/traps.md), under load."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pipeline_kit
import pytest
from pipeline_kit import World, feed, running
from traps_kit import POLLED, healthy

from m10actors.testing.waiting import eventually

world = pipeline_kit.world
COUNT = 60


@contextmanager
def configured(world: World, name: str, value: str, healthy: str) -> Iterator[None]:
    world.raw.config_set(name, value)
    try:
        yield
    finally:
        world.raw.config_set(name, healthy)


@contextmanager
def read_only(world: World) -> Iterator[None]:
    world.raw.replicaof("127.0.0.1", "1")
    try:
        yield
    finally:
        world.raw.replicaof("NO", "ONE")


@contextmanager
def unable_to_save(world: World) -> Iterator[None]:
    in_the_way = world.servers.valkey.folder / "dump.rdb"
    (in_the_way / "full").mkdir(parents=True)
    try:
        with configured(world, "save", "3600 1", ""):
            world.raw.bgsave()
            eventually(lambda: world.raw.info("persistence")["rdb_last_bgsave_status"] == "err")
            yield
    finally:
        shutil.rmtree(in_the_way)


@contextmanager
def locked(world: World) -> Iterator[None]:
    with configured(world, "requirepass", "rotated", ""):
        world.raw.execute_command("CLIENT", "KILL", "TYPE", "normal")
        yield


@contextmanager
def no_room(world: World) -> Iterator[None]:
    before = world.raw.config_get("maxclients")["maxclients"]
    with configured(world, "maxclients", "1", before):
        world.raw.execute_command("CLIENT", "KILL", "TYPE", "normal")
        yield


@contextmanager
def not_permitted(world: World) -> Iterator[None]:
    world.raw.acl_setuser("default", commands=["-xadd", "-xack", "-xreadgroup"], enabled=True)
    try:
        yield
    finally:
        world.raw.acl_setuser("default", categories=["+@all"], enabled=True)


REFUSALS: dict[str, Callable[[World], AbstractContextManager[None]]] = {
    "T31 OOM": lambda world: configured(world, "maxmemory", "1", "0"),
    "T33 MISCONF": unable_to_save,
    "T34 NOREPLICAS": lambda world: configured(world, "min-replicas-to-write", "1", "0"),
    "T35 READONLY": read_only,
    "T36 NOAUTH": locked,
    "T36 NOPERM": not_permitted,
    "T37 maxclients": no_room,
}


@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS)
def test_a_refusal_under_load_costs_nothing_and_is_over_when_it_ends(
    world: World, refusal: Callable[[World], AbstractContextManager[None]]
) -> None:
    with running(world, **POLLED, intake__batch_size=3) as engine:
        engine.ingest([1_000_001])
        world.settled(1)
        with refusal(world):
            feeder = feed(engine, COUNT - 1, batch=3)
            eventually(lambda: world.stores().evaluated > COUNT // 2)
            assert world.sql("SELECT count(*) > 0 FROM m10_recovery.work_queue") == [(True,)], "nothing was refused"
        feeder.join(20)
        world.sound(COUNT)
        healthy(engine, COUNT)


def test_a_wrong_password_is_named_as_the_reason_and_holds_nothing_up(world: World) -> None:
    """T36: not a connection that is tried again and again."""
    socket = world.servers.valkey.socket
    with running(world, **POLLED, redis__url=f"unix://nobody:wr0ng@{socket}") as engine:
        engine.ingest(range(10))
        world.sound(10)
        assert "WRONGPASS" in engine.parts.redis.health.reason or "password" in engine.parts.redis.health.reason
        assert "wr0ng" not in engine.parts.redis.health.reason
        assert world.stream() == (0, 0)


def test_a_server_that_may_throw_the_stream_away_is_said_when_it_comes_up(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """T32."""
    with configured(world, "maxmemory-policy", "allkeys-lru", "noeviction"), running(world) as engine:
        engine.ingest([1])
        world.settled(1)
        warnings = [record for record in caplog.records if record.levelname == "WARNING"]
        assert any("allkeys-lru" in str(vars(record)) for record in warnings)
