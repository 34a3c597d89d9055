"""The whole pipeline as a Redis user with the least rights, and as one who loses a right while it runs."""

import logging
from collections.abc import Callable, Iterator

import pipeline_kit
import pytest
from pipeline_kit import NAMES, World, feed, running
from streams_kit import as_user, least_rights
from traps_kit import EAGER, SWEPT, healthy

from m10actors.recovery.dependency import Condition
from m10actors.testing.waiting import eventually

world = pipeline_kit.world
COUNT = 30
LOST = ("xadd", "xlen", "xreadgroup", "xack", "xdel", "multi", "exec", "incr", "get")
"""Those that each failure needs on its way."""
BESIDE = ("xackdel",)
"""With it, some of those are not needed where the server has it."""

Permit = Callable[..., None]


@pytest.fixture
def permit(world: World) -> Iterator[Permit]:
    """Gives the user what he needs, `without` some of it."""

    def rules(*without: str) -> None:
        given = least_rights(world.redis_url, *without)
        world.raw.execute_command("ACL", "SETUSER", "guest", "reset", ">right", *given)

    rules()
    yield rules
    world.raw.acl_deluser("guest")


def url_of(world: World) -> str:
    return as_user(world.redis_url, "guest:right")


def refused(world: World) -> set[str]:
    return {entry["object"] for entry in world.raw.acl_log()}


def test_the_pipeline_needs_no_more_than_the_least_rights(world: World, permit: Permit) -> None:
    jobs = {f"jobs__{job}": "* * * * * *" for job in ("idle_consumers", "dead_letter_reconcile")}
    world.raw.acl_log_reset()
    with running(world, **EAGER, **SWEPT, **jobs, redis__url=url_of(world), metrics__interval="20ms") as engine:
        feed(engine, COUNT).join(30)
        world.raw.xadd(NAMES.stream, {"candidate_id": "none"})
        eventually(world.dead_letters)
        eventually(lambda: world.raw.xlen(NAMES.dead_letter))
        world.stream_is_empty()
    assert refused(world) == set()


def test_a_right_that_is_lost_at_run_time_parks_the_reader_with_its_name_and_loses_nothing(
    world: World, permit: Permit, caplog: pytest.LogCaptureFixture
) -> None:
    """T36. Work goes through PostgreSQL meanwhile, and through the stream again as soon as the right is back."""
    caplog.set_level(logging.ERROR, "m10actors")
    permit(*BESIDE)
    with running(world, **EAGER, **SWEPT, redis__url=url_of(world)) as engine:
        redis = engine.parts.redis
        for number, right in enumerate(LOST):
            eventually(lambda: redis.health.condition is Condition.UP)
            caplog.clear()
            permit(right, *BESIDE)
            engine.ingest(range(2 * number, 2 * number + 1))
            eventually(lambda: redis.is_down)
            named = "multi and exec" if right in {"multi", "exec"} else right
            assert f"the Redis user may not {named}" in redis.health.reason
            eventually(lambda: pipeline_kit.states(engine.tree)["stream_reader"].phase == "parked")
            engine.ingest(range(2 * number + 1, 2 * number + 2))
            world.settled(2 * number + 2)
            assert caplog.messages == ["redis_refuses_us"]
            permit(*BESIDE)
        eventually(lambda: redis.health.condition is Condition.UP)
        world.sound(2 * len(LOST))
        healthy(engine, 2 * len(LOST))
