"""The whole pipeline through PgBouncer in transaction mode, with fewer connections behind it than before it."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pipeline_kit
import pytest
from pipeline_kit import World, running

from m10actors.testing.pgbouncer import PgBouncer, pgbouncer

world = pipeline_kit.world
pytestmark = pytest.mark.needs("pgbouncer")


@pytest.fixture
def bouncer(world: World) -> Iterator[PgBouncer]:
    with (
        TemporaryDirectory(prefix="m10-") as folder,
        pgbouncer(world.servers.start(), Path(folder) / "b", pool_size=2) as listening,
    ):
        yield listening


def through(bouncer: PgBouncer, world: World) -> dict[str, object]:
    keys = {"url": "app", "ops_url": "ops", "metrics_url": "metrics"}
    return {f"database__{key}": bouncer.url(f"m10_{role}", world.database.name) for key, role in keys.items()}


def test_failures_go_all_the_way_and_every_effect_is_done_once(world: World, bouncer: PgBouncer) -> None:
    with running(world, intake__claim_workers=4, **through(bouncer, world)) as engine:
        for first in range(0, 200, 50):
            engine.ingest(range(first, first + 50))
        world.settled(200)
        world.sound(200)
        assert set(engine.restarts().values()) == {0}


def test_a_drain_hands_the_lease_over_and_the_next_engine_goes_on(world: World, bouncer: PgBouncer) -> None:
    with running(world, **through(bouncer, world)) as engine:
        engine.ingest([1])
        world.settled(1)
    assert world.sql("SELECT count(*) FROM m10_recovery.distributed_locks") == [(0,)]
    with running(world, **through(bouncer, world)) as engine:
        engine.ingest([2])
        world.settled(2)
        world.sound(2)
