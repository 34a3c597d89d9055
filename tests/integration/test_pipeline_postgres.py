"""PostgreSQL is away: nothing is accepted, nothing is lost, no actor crashes, and all goes on when it is back."""

import threading
from collections.abc import Callable
from typing import Any

import pipeline_kit
import pytest
from pipeline_kit import World, feed, running
from supervisor_kit import states

from m10actors.embedded.postgres import PostgresServer
from m10actors.postgres import locks
from m10actors.postgres.errors import StoreUnavailable
from m10actors.supervision import Phase
from m10actors.testing.receiver import TAKEN
from m10actors.testing.waiting import eventually

world = pipeline_kit.world
COUNT = 90
SWEPT: dict[str, Any] = {"intake__poll_interval": "30ms", "intake__sweep_after": "100ms"}
"""A server that dies in a COMMIT may have stored what nobody heard of: no message tells of it, the sweep finds it."""


DOWN: dict[str, Callable[[PostgresServer], object]] = {
    "fast": lambda server: server.stop("fast"),
    "immediate": lambda server: server.stop("immediate"),
    "killed": lambda server: server.kill(),
}


@pytest.mark.parametrize("down", DOWN.values(), ids=DOWN)
def test_a_restart_under_load_loses_nothing_and_spends_no_restart(
    world: World, down: Callable[[PostgresServer], object]
) -> None:
    with running(world, **SWEPT, intake__batch_size=4) as engine:
        feeder = feed(engine, COUNT, batch=3)
        eventually(lambda: world.stores().evaluated > 10)
        down(world.servers.postgres)
        eventually(lambda: engine.parts.postgres.is_down)
        world.servers.postgres.start()
        feeder.join(30)
        world.sound(COUNT, twice_allowed=True)
        world.stream_is_empty()
        assert set(engine.restarts().values()) == {0}
        engine.ingest([1000])
        world.sound(COUNT + 1, twice_allowed=True)


def test_connections_cut_again_and_again_under_load(world: World) -> None:
    with running(world, intake__batch_size=4) as engine:
        feeder = feed(engine, COUNT, batch=3)
        for part in range(1, 7):
            eventually(lambda: world.stores().evaluated >= part * COUNT // 8)  # noqa: B023
            world.sql(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database()"
                " AND application_name IN ('m10:app', 'm10:lead', 'm10:ops', 'm10:metrics', 'm10:once')"
            )
        feeder.join(30)
        world.sound(COUNT, twice_allowed=True)
        world.stream_is_empty()
        assert set(engine.restarts().values()) == {0}


def test_both_stores_away_at_once(world: World) -> None:
    with running(world, **SWEPT, intake__batch_size=4) as engine:
        feeder = feed(engine, COUNT, batch=3)
        eventually(lambda: world.stores().evaluated > 10)
        world.servers.valkey.kill()
        world.servers.postgres.kill()
        eventually(lambda: engine.parts.postgres.is_down and engine.parts.redis.is_down)
        world.servers.postgres.start()
        eventually(lambda: not engine.parts.postgres.is_down)
        world.servers.valkey.start()
        feeder.join(30)
        world.sound(COUNT, twice_allowed=True)
        world.stream_is_empty()
        assert set(engine.restarts().values()) == {0}


def test_an_engine_that_starts_without_postgres_waits_for_it(world: World) -> None:
    ids = world.upsert(10)
    world.servers.postgres.kill()
    with running(world) as engine:
        engine.add(*((candidate, 1) for candidate in ids))
        eventually(lambda: engine.parts.postgres.is_down)
        assert {state.phase for state in engine.tree.snapshot().children} == {Phase.RUNNING}
        assert states(engine.tree)["claim_workers"].parked_on == ("postgres",)
        world.servers.postgres.start()
        world.sound(10)
        world.stream_is_empty()
        assert set(engine.restarts().values()) == {0}


def test_a_drain_without_postgres_hands_back_what_is_in_hand(world: World) -> None:
    """And whoever comes next does it at once: it need not wait until the entries have been idle for long enough.
    The leader's lock alone, which could not be released, ends by itself.
    """
    with running(world, outbox__lock_ttl="1s") as engine:
        engine.ingest([0])
        world.settled(1)
        ids = world.upsert(10)
        world.servers.postgres.kill()
        engine.add(*((candidate, 1) for candidate in ids))
        eventually(lambda: world.stream()[1] > 0)
    world.servers.postgres.start()
    with running(world, tree__reclaimer__poll="5ms"):
        world.sound(11)
        world.stream_is_empty()


def test_a_leader_that_cannot_renew_steps_down_and_leads_again_in_a_new_epoch(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its lock still stood when it came back, and with it the claims of what it had let go of."""
    real, away, go = locks.renew, threading.Event(), threading.Event()

    def renew(*given: Any) -> bool:
        if away.is_set():
            raise StoreUnavailable("away")
        return real(*given)

    def answer(_request: Any) -> Any:
        away.set()
        go.wait(20)
        return TAKEN

    monkeypatch.setattr(locks, "renew", renew)
    world.receiver.answer = answer
    with running(world, outbox__lock_ttl="1s", outbox__poll_interval="5ms", outbox__claim_takeover="1h") as engine:
        engine.ingest([1])
        epochs = "SELECT epoch FROM m10_recovery.lock_epoch WHERE lock_name = 'm10:outbox_processor'"
        eventually(lambda: world.sql(epochs) == [(2,)])
        away.clear()
        go.set()
        world.sound(1, twice_allowed=True)
        assert set(engine.restarts().values()) == {0}
