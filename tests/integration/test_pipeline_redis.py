"""Redis is away, frozen, flushed, full or forgetful: work goes on through PostgreSQL, and comes back by itself."""

import os
import random
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pipeline_kit
import pytest
from pipeline_kit import NAMES, Engine, World, feed, parts_of, running

from m10actors import hints, metrics
from m10actors.postgres.errors import StoreUnavailable
from m10actors.streams import RedisClient
from m10actors.testing.proxy import FaultProxy
from m10actors.testing.waiting import eventually

world = pipeline_kit.world
COUNT = 90
POLLED: dict[str, Any] = {"intake__poll_interval": "30ms"}
"""For the fallback queue, which nothing wakes while Redis is up."""
POLLED |= {"intake__evaluation_lease": "500ms", "decisions__evaluator_timeout": "10ms"}
"""A row of it whose candidate somebody else has in hand comes back after a lease."""


@pytest.fixture
def proxy(world: World) -> Iterator[FaultProxy]:
    with FaultProxy(world.servers.start().valkey_socket) as proxy:
        yield proxy


def through(proxy: FaultProxy) -> dict[str, Any]:
    host, port = proxy.address  # type: ignore[misc]
    return {"redis__url": f"redis://{host}:{port}/0"}


@contextmanager
def frozen(world: World) -> Iterator[None]:
    pid = world.servers.valkey.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def healthy(engine: Engine, more: int) -> None:
    """No actor crashed, and the next failure goes through the stream again."""
    eventually(lambda: not engine.parts.redis.is_down)
    engine.ingest([1000])
    engine.world.sound(more + 1)
    engine.world.stream_is_empty()
    assert set(engine.restarts().values()) == {0}
    engine.world.sql("SELECT m10_recovery.release_stalled('0 s')")  # as the job does now and then
    open_works = "SELECT count(*) FROM m10_recovery.work_queue WHERE processed_at IS NULL"
    eventually(lambda: engine.world.sql(open_works) == [(0,)])


def test_without_redis_from_the_start_all_is_done_through_postgres_and_with_it_through_the_stream(world: World) -> None:
    world.servers.valkey.kill()
    with running(world, **POLLED) as engine:
        engine.ingest(range(40))
        world.sound(40)
        assert engine.parts.redis.is_down
        assert world.sql("SELECT count(*) FROM m10_recovery.work_queue") == [(40,)]
        world.servers.valkey.start()
        healthy(engine, 40)


def test_redis_away_for_a_while_under_load(world: World) -> None:
    with running(world, **POLLED) as engine:
        feeder = feed(engine, COUNT)
        eventually(lambda: world.stores().evaluated > 10)
        world.servers.valkey.kill()
        eventually(lambda: world.stores().evaluated > COUNT // 2)
        world.servers.valkey.start()
        feeder.join(20)
        world.sound(COUNT)
        healthy(engine, COUNT)


def test_a_connection_that_flaps_under_load(world: World, proxy: FaultProxy) -> None:
    """T13: some go one way, some the other, some both."""
    chance = random.Random(5)
    with running(world, **POLLED, **through(proxy)) as engine:
        feeder = feed(engine, COUNT, batch=2)
        for _ in range(12):
            before = world.stores().evaluated
            proxy.refuse()
            proxy.cut()
            eventually(lambda: world.stores().evaluated > before + chance.randrange(5) or not feeder.is_alive())  # noqa: B023
            proxy.clean()
        feeder.join(20)
        world.sound(COUNT)
        healthy(engine, COUNT)


def test_a_server_that_freezes_and_carries_out_later_what_it_was_told(world: World) -> None:
    """T6: every message has gone both ways by then."""
    with running(world, **POLLED, redis__command_timeout="50ms") as engine:
        engine.ingest(range(10))
        with frozen(world):
            engine.ingest(range(10, 20))
            world.settled(20)
        world.sound(20)
        healthy(engine, 20)


def restart_empty(world: World) -> None:
    world.servers.valkey.kill()
    shutil.rmtree(world.servers.valkey.folder / "appendonlydir")
    world.servers.valkey.start()


LOSSES: dict[str, Callable[[World], object]] = {
    "FLUSHALL": lambda world: world.raw.flushall(),
    "DEL": lambda world: world.raw.delete(NAMES.stream),
    "XGROUP DESTROY": lambda world: world.raw.xgroup_destroy(NAMES.stream, NAMES.group),
    "restarted empty": restart_empty,
}


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_state_lost_under_load_is_told_again(world: World, loss: Callable[[World], object]) -> None:
    """T7, T8, T9."""
    with running(world, intake__batch_size=3, **POLLED) as engine:
        feeder = feed(engine, COUNT)
        for part in (1, 2, 3):
            eventually(lambda: world.stores().evaluated > part * COUNT // 5)  # noqa: B023
            loss(world)
        feeder.join(20)
        world.sound(COUNT)
        healthy(engine, COUNT)


@pytest.mark.parametrize("loss", ["FLUSHALL", "DEL", "XGROUP DESTROY"])
def test_state_lost_while_all_is_quiet_does_not_make_the_reader_deaf(world: World, loss: str) -> None:
    with running(world) as engine:
        for number in range(4):
            engine.ingest([number])
            world.settled(number + 1)
            LOSSES[loss](world)
        healthy(engine, 4)


def test_messages_lost_with_the_server_are_found_by_a_full_sweep(world: World) -> None:
    """Hints that nobody has read yet: the workers are at rest, and no poll is near."""
    with running(world) as engine:
        engine.ingest([1])
        world.settled(1)
        world.upsert(30)
        world.raw.flushall()
        world.sound(31)


def test_an_addition_whose_reply_was_lost_has_one_effect(
    world: World, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T3: it stands in the stream, and on the fallback queue."""
    real = RedisClient.pipeline

    def pipeline(client: RedisClient, commands: Any) -> Any:
        proxy.swallow_replies()
        try:
            return real(client, commands)
        finally:
            proxy.clean()

    parts = parts_of(world, **through(proxy))
    parts.open()
    with monkeypatch.context() as patch:
        patch.setattr(RedisClient, "pipeline", pipeline)
        parts.ingest.accept([pipeline_kit.failure(number) for number in range(5)], "test")
    pipeline_kit.close(parts)
    assert world.stream() == (5, 0)
    assert world.sql("SELECT count(*) FROM m10_recovery.work_queue") == [(5,)]
    with running(world, **POLLED) as engine:
        world.sound(5)
        healthy(engine, 5)


def test_entries_whose_delivery_was_lost_are_found_at_once(world: World, proxy: FaultProxy) -> None:
    """T4: the server believes that this consumer has them."""
    with running(world, **through(proxy)) as engine:
        engine.ingest([1])
        world.settled(1)
        eventually(lambda: engine.doing("stream_reader").startswith("waiting"))
        ids = world.upsert(5)
        proxy.swallow_replies()
        engine.add(*((candidate, 1) for candidate in ids))
        eventually(lambda: world.stream()[1] > 0)
        proxy.clean()
        world.settled(6)
        world.stream_is_empty()
        assert world.stores().dead == 0


def overflowed() -> float:
    return metrics.REGISTRY.get_sample_value("m10_stream_overflow_total") or 0.0


def test_at_the_length_limit_the_rest_goes_to_the_fallback_queue_and_nothing_is_trimmed(world: World) -> None:
    before = overflowed()
    with running(world, redis__stream_max_len=5, **POLLED) as engine:
        engine.ingest(range(60))
        world.sound(60)
        [(overflow,)] = world.sql("SELECT count(*) FROM m10_recovery.work_queue")
        assert overflow == overflowed() - before == 55
        healthy(engine, 60)


def test_what_goes_to_the_fallback_queue_is_looked_for_at_once_by_the_process_that_put_it_there(world: World) -> None:
    """Not at the next poll, which is an hour away."""
    with running(world, redis__stream_max_len=5) as engine:
        engine.ingest(range(60))
        world.sound(60)


def test_what_others_left_pending_is_reclaimed_though_it_lies_behind_what_is_fresh(world: World) -> None:
    """T19: far behind what a step sees; and the pass goes on at once, not at the next poll."""
    raw = world.raw
    ids = world.upsert(5)
    with raw.pipeline() as many:
        for candidate in range(1_000_001, 1_002_001):
            many.xadd(NAMES.stream, {"candidate_id": candidate})
        many.execute()
    raw.xreadgroup(NAMES.group, "fresh", {NAMES.stream: ">"}, count=2000)
    for candidate in ids:
        raw.xadd(NAMES.stream, {"candidate_id": candidate, "message_id": f"{candidate}:1"})
    [(_, stuck)] = raw.xreadgroup(NAMES.group, "stuck", {NAMES.stream: ">"}, count=5)
    entry_ids = [entry_id for entry_id, _ in stuck]
    raw.xclaim(NAMES.stream, NAMES.group, "stuck", 0, entry_ids, idle=7_200_000, justid=True)
    with running(world, tree__reclaimer__poll="1s", intake__max_reclaim_per_loop=5) as engine:
        world.sound(5)
        eventually(lambda: world.stream() == (2000, 2000))
        assert set(engine.restarts().values()) == {0}


def test_an_accepted_failure_whose_message_went_neither_way_is_accepted_and_found_by_the_sweep(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise StoreUnavailable("away")

    with running(world, intake__sweep_after="50ms", **POLLED) as engine:
        engine.ingest([1])
        world.settled(1)
        world.servers.valkey.kill()
        monkeypatch.setattr(hints, "enqueue_fallback", away)
        assert len(engine.ingest(range(2, 12))) == 10
        world.sound(11)
        world.servers.valkey.start()
        healthy(engine, 11)
