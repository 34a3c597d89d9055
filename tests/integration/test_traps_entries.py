"""The traps of Redis Streams (docs/traps.md), each by what people saw: entries taken, kept, lost, seen twice."""

import threading
from typing import Any

import pipeline_kit
import pytest
from metrics_kit import collecting, shows
from pipeline_kit import NAMES, World, running
from traps_kit import (
    EAGER,
    FEW,
    POLLED,
    SWEPT,
    beside,
    delivered_to_dead,
    gated,
    healthy,
    looked_again,
    make_idle,
    queued,
)

from m10actors.postgres import inputs
from m10actors.postgres.errors import StoreUnavailable
from m10actors.testing.waiting import eventually

world = pipeline_kit.world
TEN_MINUTES_MS = 600_302
DAY_MS = 86_400_000


def consumers(world: World) -> dict[str, int]:
    """How many entries are pending for each."""
    rows = world.raw.xpending(NAMES.stream, NAMES.group)["consumers"]
    return {row["name"].decode(): row["pending"] for row in rows}


def test_a_message_that_was_in_hand_at_ten_restarts_is_not_a_dead_letter(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T14: no attempt at it ever began, since PostgreSQL did not answer; Redis counts a delivery each time."""
    away, real = threading.Event(), inputs.read

    def read(*given: Any) -> Any:
        if away.is_set():
            raise StoreUnavailable("away")
        return real(*given)

    monkeypatch.setattr(inputs, "read", read)
    delivered_to_dead(world, 1)
    away.set()
    for _ in range(10):
        with running(world, **EAGER) as engine:
            eventually(lambda: "dead" not in consumers(world) and "evaluating" in _doing(engine))
    assert world.sql("SELECT count(*) FROM m10_recovery.evaluation_claim") == [(0,)]
    away.clear()
    with running(world, **EAGER):
        world.sound(1)
        world.stream_is_empty()


def _doing(engine: pipeline_kit.Engine) -> str:
    workers = (child for child in engine.restarts() if child.startswith(("claim_worker.", "spare_worker.")))
    return " ".join(map(engine.doing, workers))


def test_the_last_attempt_is_not_given_up_while_it_runs(world: World) -> None:
    """T17: its entry looks idle, was delivered often enough, and another reclaimer passes by again and again."""
    delivered_to_dead(world, 1)
    world.sql(
        "INSERT INTO m10_recovery.evaluation_claim (candidate_id, generation, claimed_by, claimed_until, attempts)"
        " SELECT id, 1, 'dead', '-infinity', 2 FROM public.recovery_candidates"
    )
    with running(world, **EAGER, outbox__poll_interval="10ms"), gated() as gates:
        eventually(lambda: gates.begun)
        assert world.sql("SELECT attempts FROM m10_recovery.evaluation_claim") == [(3,)]
        with beside(world, **EAGER) as other:
            looked_again(world, DAY_MS)
            assert world.dead_letters() == []
            assert world.sql("SELECT attempts FROM m10_recovery.evaluation_claim") == [(3,)]
            gates.open_all()
            world.sound(1)
            world.stream_is_empty()
            assert set(other.restarts().values()) == {0}


@pytest.mark.parametrize("first", [0, 1], ids=["the first to begin", "the second to begin"])
def test_an_entry_taken_from_a_process_that_was_only_slow_has_one_effect(world: World, first: int) -> None:
    """T20, T21: both evaluate it, whoever is done first acknowledges it for both, and only one takes effect."""
    with (
        running(world, intake__claim_workers=1, intake__spare_workers=0, outbox__poll_interval="10ms") as slow,
        gated(2) as gates,
    ):
        slow.ingest([1])
        eventually(lambda: gates.begun == 1)
        with beside(world, **EAGER):

            def second_has_begun() -> bool:
                make_idle(world, TEN_MINUTES_MS)  # no sign of life gets through
                return gates.begun == 2

            eventually(second_has_begun)
            gates.open(first)
            eventually(lambda: world.stores().evaluated == 1)
            gates.open(1 - first)
            world.sound(1)
            world.stream_is_empty()


def test_what_a_busy_process_cannot_begin_is_left_to_the_others_and_what_it_has_begun_is_its_own(world: World) -> None:
    """T20, T22: no more is read than a worker asks for; and no process of the same host takes it for its own."""
    queued(world, 30)
    with running(world, **FEW, outbox__poll_interval="10ms") as busy, gated() as gates:
        eventually(lambda: gates.begun)
        assert consumers(world) == {busy.parts.worker: 3}
        with beside(world, tree__reclaimer__poll="5ms") as other:
            assert other.parts.worker.rpartition(":")[0] == busy.parts.worker.rpartition(":")[0]  # same host, same pid
            eventually(lambda: world.stream() == (3, 3))
            assert consumers(world) == {busy.parts.worker: 3}
            assert world.stores().evaluated == 27
            gates.open_all()
            world.sound(30)
            world.stream_is_empty()


def test_work_whose_entry_was_deleted_in_the_hands_of_the_dead_is_done_all_the_same(world: World) -> None:
    """T26, T27: the server forgets such entries in silence, or gives back an id without fields."""
    entry_ids = delivered_to_dead(world, 6)
    world.raw.xdel(NAMES.stream, *entry_ids[:4])
    with running(world, **EAGER, **SWEPT) as engine:
        world.sound(6)
        world.stream_is_empty()
        assert world.dead_letters() == []
        healthy(engine, 6)


def test_work_whose_entries_are_deleted_and_trimmed_under_load_is_done_all_the_same(world: World) -> None:
    """T24, T26, T27: what somebody else's MAXLEN does."""
    with running(world, **EAGER, **SWEPT, intake__batch_size=3) as engine:
        feeder = pipeline_kit.feed(engine, 60, batch=10)
        while feeder.is_alive():
            world.raw.xtrim(NAMES.stream, maxlen=2, approximate=False)
        world.sound(60)
        assert world.dead_letters() == []
        healthy(engine, 60)


def test_a_stream_that_the_server_throws_away_for_room_is_told_again(world: World) -> None:
    """T32."""
    with running(world, **POLLED, **FEW) as engine:
        with gated() as gates:
            engine.ingest(range(30))
            eventually(lambda: gates.begun)
            assert world.stream()[0] == 30
            world.raw.config_set("maxmemory-policy", "allkeys-lru")
            try:
                world.raw.config_set("maxmemory", 1)
            finally:
                world.raw.config_set("maxmemory", 0)
                world.raw.config_set("maxmemory-policy", "noeviction")
            eventually(lambda: engine.parts.redis.has_lost)
        world.sound(30)
        healthy(engine, 30)


@pytest.mark.parametrize("jump", [TEN_MINUTES_MS, 0], ids=["forwards", "backwards"])
def test_a_jump_of_the_clock_of_redis_costs_nothing_but_a_look(world: World, jump: int) -> None:
    """T39: what was delivered a moment ago looks idle for ten minutes, or what is stalled looks fresh."""
    slow: dict[str, Any] = {"tree__reclaimer__poll": "5ms", "intake__claim_idle": "1m", "outbox__poll_interval": "10ms"}
    with running(world, **slow) as engine, gated() as gates:
        engine.ingest([1])
        eventually(lambda: gates.begun)
        with beside(world, **slow) as other:
            looked_again(world, jump)
            assert world.dead_letters() == []
            gates.open_all()
            world.sound(1)
            world.stream_is_empty()
            assert set(other.restarts().values()) == {0}


def test_other_work_under_an_entry_id_that_was_seen_before_is_done(world: World) -> None:
    """T40: in one step, so that nobody notices a loss and sweeps."""
    with running(world) as engine:
        engine.ingest([0])
        world.settled(1)
        losses = engine.parts.redis.losses
        for number in (2, 3, 4):
            [candidate] = world.upsert(1)
            with world.raw.pipeline(transaction=True) as at_once:
                at_once.delete(NAMES.stream)
                at_once.xgroup_create(NAMES.stream, NAMES.group, "0", mkstream=True)
                at_once.xadd(NAMES.stream, {"candidate_id": candidate, "message_id": f"{candidate}:1"}, id="1000-0")
                at_once.execute()
            world.settled(number)
            world.stream_is_empty()
        world.sound(4)
        assert engine.parts.redis.losses == losses


def test_after_a_trim_the_backlog_that_is_shown_is_what_is_due_and_not_the_lag_of_the_server(world: World) -> None:
    """T41."""
    raw = world.raw
    for candidate in world.upsert(15):
        raw.xadd(NAMES.stream, {"candidate_id": candidate})
    raw.xtrim(NAMES.stream, maxlen=5, approximate=False)
    world.sql("UPDATE public.recovery_candidates SET due_at = now() - interval '200 s'")
    with collecting(world):
        shows("recovery_stream_length", lambda length: length == 5)
        shows("m10_evaluations_due", lambda due: due == 15)
        shows("m10_evaluations_due_oldest_seconds", lambda age: age >= 200)
