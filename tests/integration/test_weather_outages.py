"""A store is away for long: who needs it stands still, nobody crashes, little is said, and all goes on by itself."""

import logging
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pipeline_kit
import pytest
from pipeline_kit import Engine, World, feed, running
from supervisor_kit import states
from weather_kit import OUTAGES, Proxies, lines_of, proxied

from m10actors.recovery.dependency import Dependency
from m10actors.supervision import Phase
from m10actors.testing.waiting import eventually

world = pipeline_kit.world

SWIFT: dict[str, Any] = {
    "database__connect_timeout": "1s",
    "intake__poll_interval": "30ms",
    "intake__sweep_after": "100ms",
    "redis__command_timeout": "50ms",
}
NEEDS = {
    "postgres": {"outbox_leader", "dead_letter_router", "reclaimer", "claim_workers", "job_runner"},
    "redis": {"stream_reader"},
}


@pytest.fixture
def proxies(world: World) -> Iterator[Proxies]:
    with proxied(world) as found:
        yield found


def stores_of(engine: Engine, names: tuple[str, ...]) -> list[Dependency]:
    return [getattr(engine.parts, name) for name in names]


def parked(engine: Engine) -> set[str]:
    return {name for name, state in states(engine.tree).items() if state.phase is Phase.PARKED}


def unharmed(engine: Engine) -> None:
    """No restart was spent, nobody was taken out, no thread was lost."""
    assert {(s.restarts, s.taken_out, s.leaked) for s in states(engine.tree).values()} == {(0, 0, 0)}


@pytest.mark.parametrize(
    ("away", "outage"),
    [
        *((("postgres",), outage) for outage in OUTAGES),
        *((("redis",), outage) for outage in OUTAGES),
        (("postgres", "redis"), "refused"),
    ],
)
def test_an_outage_spends_no_restart_and_few_words_and_work_resumes_by_itself(
    world: World, proxies: Proxies, caplog: pytest.LogCaptureFixture, away: tuple[str, ...], outage: str
) -> None:
    with running(world, **SWIFT, **proxies.settings) as engine:
        engine.ingest([1])
        world.settled(1)
        caplog.set_level(logging.INFO)
        caplog.clear()
        with ExitStack() as faults:
            for store in away:
                faults.enter_context(OUTAGES[outage](proxies, store))
            eventually(lambda: all(store.is_down for store in stores_of(engine, away)))
            eventually(lambda: parked(engine) >= set().union(*(NEEDS[store] for store in away)))
            if away == ("redis",):  # the rest goes on through PostgreSQL
                engine.ingest([2])
                world.settled(2)
            unharmed(engine)
        eventually(lambda: not any(store.is_down for store in stores_of(engine, away)))
        eventually(lambda: not parked(engine))
        said = lines_of(caplog)
        assert len(said) <= 10 * len(away), said
        engine.ingest([3])
        world.sound(3 if away == ("redis",) else 2, twice_allowed=True)
        unharmed(engine)


def test_a_store_that_flaps_parks_and_resumes_and_loses_nothing(world: World, proxies: Proxies) -> None:
    with running(world, **SWIFT, **proxies.settings, intake__batch_size=4) as engine:
        feeder = feed(engine, 60, batch=3)
        for _ in range(4):
            before = world.stores().evaluated
            with OUTAGES["refused"](proxies, "postgres"):
                eventually(lambda: "claim_workers" in parked(engine))
            eventually(lambda: world.stores().evaluated > before or not feeder.is_alive())  # noqa: B023
        feeder.join(30)
        world.sound(60, twice_allowed=True)
        unharmed(engine)


def test_an_engine_that_starts_without_any_store_begins_parked(world: World, proxies: Proxies) -> None:
    world.upsert(5)
    with ExitStack() as faults:
        for store in ("postgres", "redis"):
            faults.enter_context(OUTAGES["refused"](proxies, store))
        engine = pipeline_kit.start(world, **SWIFT, **proxies.settings)
        assert parked(engine) >= NEEDS["postgres"] | NEEDS["redis"]
    try:
        world.sound(5)
        assert not parked(engine)
        unharmed(engine)
    finally:
        engine.stop()


def deepest_mailbox(engine: Engine) -> int:
    """At the moment: who has just been given something may not have been scheduled yet."""
    return max(state.mailbox or 0 for state in states(engine.tree).values())


def test_no_mailbox_grows_while_nobody_consumes_and_a_producer_goes_on(world: World) -> None:
    with running(world, **SWIFT) as engine:
        for part in ("intake", "delivery"):
            engine.tree.weather(part, up=False, why="a test")
        eventually(lambda: {"stream_reader", "reclaimer", "claim_workers", "outbox_leader"} <= parked(engine))
        for first in range(0, 300, 50):
            engine.ingest(range(first, first + 50))
        eventually(lambda: deepest_mailbox(engine) < 5)
        for part in ("intake", "delivery"):
            engine.tree.weather(part, up=True)
        world.sound(300)
        unharmed(engine)


def test_no_mailbox_grows_while_whoever_consumes_is_stuck_and_a_producer_goes_on(world: World) -> None:
    with running(world, **SWIFT) as engine:
        engine.ingest([1])
        world.settled(1)
        with world.database.connect("owner").transaction() as holder:
            for table in ("work_queue", "evaluation_claim", "outbox"):
                holder.connection.execute(f"LOCK TABLE m10_recovery.{table} IN ACCESS EXCLUSIVE MODE")
            for first in range(2, 302, 50):
                engine.ingest(range(first, first + 50))
            eventually(lambda: engine.parts.monitor.stats().pending)
            eventually(lambda: deepest_mailbox(engine) < 20)
        world.sound(301)
        unharmed(engine)
