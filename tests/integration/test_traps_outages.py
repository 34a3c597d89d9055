"""The traps between PostgreSQL and Redis (docs/traps.md), each by what people saw: lost, doubled, stuck, slow."""

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pipeline_kit
import redis
from pipeline_kit import NAMES, World, feed, running
from traps_kit import EAGER, FEW, POLLED, SWEPT, another_valkey, gated, healthy, queued

from m10actors.embedded.valkey import ValkeyServer
from m10actors.recovery.dependency import Condition, Health
from m10actors.testing.proxy import FaultProxy
from m10actors.testing.waiting import eventually

world = pipeline_kit.world
COUNT = 60
PATIENCE = 30.0  # seconds: less than redis-py by its defaults would take, and far more than anything here does
AS_SHIPPED: dict[str, Any] = {"tree__redis_monitor__poll": "1s", "redis__command_timeout": "500ms"}


@contextmanager
def frozen(world: World) -> Iterator[None]:
    pid = world.servers.valkey.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def test_ingest_is_answered_while_redis_is_frozen(world: World) -> None:
    """T6: with the periods of the shipped configuration, from the first moment on, for as long as it lasts.

    `make chaos SUBSTRATE=redis` prints how long the calls take.
    """
    with running(world, **POLLED, **AS_SHIPPED) as engine:
        with frozen(world), ThreadPoolExecutor(4) as callers:
            calls = [callers.submit(engine.ingest, [number]) for number in range(32)]
            for call in calls:
                call.result(timeout=PATIENCE)  # it is frozen until all have returned
        healthy(engine, len(calls))


def append_only_file(server: ValkeyServer) -> Path:
    """The part that grows."""
    [file] = (server.folder / "appendonlydir").glob("*.incr.aof")
    return file


def begin_append_only_file(world: World) -> None:
    """Anew: what earlier tests wrote must not come back from it."""
    world.raw.bgrewriteaof()
    eventually(lambda: not world.raw.info("persistence")["aof_rewrite_in_progress"])
    eventually(lambda: len(list((world.servers.valkey.folder / "appendonlydir").glob("*.incr.aof"))) == 1)


def test_work_whose_last_writes_went_with_the_power_is_done_once(world: World) -> None:
    """T10: entries that were acknowledged are pending again, others are not there at all, half of one is."""
    begin_append_only_file(world)
    with running(world, **EAGER, **SWEPT, intake__batch_size=3) as engine:
        feeder = feed(engine, COUNT)
        for part in (1, 2):
            eventually(lambda: world.stores().evaluated > part * COUNT // 4)  # noqa: B023
            world.servers.valkey.kill()
            file = append_only_file(world.servers.valkey)
            os.truncate(file, file.stat().st_size * 2 // 3)
            world.servers.valkey.start()
        feeder.join(20)
        world.sound(COUNT)
        healthy(engine, COUNT)


def test_a_server_that_cannot_start_for_its_damaged_file_holds_nothing_up(world: World) -> None:
    """T11: PostgreSQL carries everything, until the server comes back without its file."""
    with running(world, **POLLED) as engine:
        engine.ingest(range(20))
        world.settled(20)
        world.servers.valkey.kill()
        file = append_only_file(world.servers.valkey)
        damaged = bytearray(file.read_bytes())
        damaged[len(damaged) // 2 : len(damaged) // 2 + 40] = b"?" * 40
        file.write_bytes(damaged)
        for number in range(20, 50, 10):
            engine.ingest(range(number, number + 10))
            world.settled(number + 10)
        world.servers.valkey.start()
        healthy(engine, 50)


def test_what_a_failover_forgets_and_what_it_brings_back_is_done_once(world: World) -> None:
    """T12, T44: the replica has entries that were acknowledged since, lacks others, and knows no consumer."""
    raw = world.raw
    with (
        another_valkey() as replica,
        FaultProxy(world.servers.valkey.socket) as replication,
        FaultProxy(world.servers.valkey.socket) as service,
    ):
        host, port = service.address  # type: ignore[misc]
        raw.config_set("repl-diskless-sync-delay", 0)
        raw.set(NAMES.incarnation, "the same on both")
        queued(world, 5)
        with replicating(replica, replication) as promoted:
            replication.dark()
            with running(world, **EAGER, **SWEPT, **FEW, redis__url=f"redis://{host}:{port}/0") as engine:
                world.settled(5)
                world.stream_is_empty()
                with gated() as gates:
                    engine.ingest(range(10))
                    eventually(lambda: gates.begun)
                    assert world.stream()[1] < world.stream()[0] == 10
                    promoted.replicaof("NO", "ONE")
                    assert promoted.xlen(NAMES.stream) == 5
                    service._upstream = replica.socket
                    service.cut()
                world.sound(15)
                engine.ingest([1000])
                world.sound(16)
                eventually(lambda: promoted.xlen(NAMES.stream) == 0)
                assert promoted.xpending(NAMES.stream, NAMES.group)["pending"] == 0
                assert set(engine.restarts().values()) == {0}


@contextmanager
def replicating(replica: ValkeyServer, primary: FaultProxy) -> Iterator[Any]:
    """Until the replica has what the primary has; what is yielded speaks to the replica."""
    with redis.Redis(unix_socket_path=str(replica.socket)) as client:
        host, port = primary.address  # type: ignore[misc]
        client.replicaof(host, port)
        eventually(lambda: client.info("replication")["master_link_status"] == "up" and client.xlen(NAMES.stream))
        yield client


def test_short_silences_in_a_row_delay_and_flip_no_mode(world: World) -> None:
    """T13: 300 ms again and again, shorter than a command may take; nothing is lost, doubled, restarted or parked."""
    with running(world, **POLLED, **AS_SHIPPED, intake__batch_size=3) as engine:
        changes: list[Health] = []
        engine.parts.redis.subscribe(changes.append)
        feeder = feed(engine, COUNT, batch=2)
        for _ in range(5):
            before = world.stores().evaluated
            world.raw.client_pause(300, all=True)
            world.raw.ping()  # answered when the pause is over
            eventually(lambda: world.stores().evaluated > before or not feeder.is_alive())  # noqa: B023
        feeder.join(20)
        world.sound(COUNT)
        healthy(engine, COUNT)
        assert [health.condition for health in changes] == [Condition.UP]
