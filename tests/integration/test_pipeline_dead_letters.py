"""What cannot be done is given up with a reason, once, and everything around it goes on."""

import json
from typing import Any

import pipeline_kit
import pytest
from pipeline_kit import NAMES, Engine, World, running

from m10actors import evaluation
from m10actors.actors.messages import GiveUp, Tick
from m10actors.streams import BadEntry, BadReason
from m10actors.testing.failpoints import armed
from m10actors.testing.plant import MALFORMED, plant_malformed
from m10actors.testing.waiting import eventually

world = pipeline_kit.world
SHORT: dict[str, Any] = {
    "tree__reclaimer__poll": "5ms",
    "intake__claim_idle": "20ms",
    "intake__evaluation_lease": "20ms",
}


def copies(world: World) -> list[dict[bytes, bytes]]:
    """The dead-letter stream."""
    entries: Any = world.raw.xrange(NAMES.dead_letter)
    return [fields for _, fields in entries]


def dead(world: World, count: int) -> list[tuple[Any, ...]]:
    eventually(lambda: len(world.dead_letters()) >= count, within=20)
    return world.dead_letters()


def reports(engine: Engine, count: int = 10) -> None:
    engine.ingest(range(count))


def test_malformed_entries_are_dead_letters_with_reason_and_fields_and_their_batch_goes_on(world: World) -> None:
    plant_malformed(world.redis_url, NAMES.stream)
    world.raw.xadd(NAMES.stream, {"candidate_id": "5", "message_id": "6:1", "metadata": "x" * 300_000})
    world.raw.xadd(NAMES.stream, {"candidate_id": "5", "message_id": "6:1"})
    with running(world) as engine:
        reports(engine)
        letters = dead(world, len(MALFORMED) + 2)
        assert sorted(letter[0] for letter in letters) == [
            "bad_candidate_id",
            "bad_message_id",
            "missing_candidate_id",
            "not_utf8",
            "too_large",
        ]
        kept = {letter[0]: letter[3]["fields"] for letter in letters}
        assert kept["bad_candidate_id"] == {"candidate_id": "abc"}
        assert kept["not_utf8"]["metadata"] == {"base64": "//4=", "bytes": 2}
        assert kept["too_large"]["metadata"]["bytes"] == 300_000
        world.stream_is_empty()
        assert {copy[b"reason"].decode() for copy in copies(world)} == set(kept)
        assert {b"orig_candidate_id", b"dl_msg_id", b"original_entry_id"} <= set(copies(world)[0])
        stores = world.settled(10)
        assert (stores.evaluated, stores.dead) == (10, 5)
        assert set(engine.restarts().values()) == {0}


@pytest.mark.parametrize(("known", "generation"), [(True, 9), (False, 1), (False, None)])
def test_a_generation_that_never_comes_is_given_up_after_its_attempts(
    world: World, known: bool, generation: int | None
) -> None:
    """Forged, or of a row that was rolled back."""
    leases = {"intake__claim_idle": "300ms", "intake__evaluation_lease": "300ms"}  # in which it is buried
    with running(world, **SHORT | leases) as engine:
        [candidate] = engine.ingest([1]) if known else [424_242]
        fields: dict[Any, Any] = {"candidate_id": candidate}
        world.raw.xadd(
            NAMES.stream, fields | ({"message_id": f"{candidate}:{generation}"} if generation is not None else {})
        )
        [letter] = dead(world, 1)
        assert letter[:3] == ("too_many_attempts" if known else "candidate_not_found", candidate, 4)
        world.stream_is_empty()
        [copy] = copies(world)
        assert copy[b"original_msg_id"] == f"{candidate}:{generation or 0}".encode()
        if known:
            assert world.settled(1).evaluated == 1
        assert set(engine.restarts().values()) == {0}


def raise_for_poison(monkeypatch: pytest.MonkeyPatch) -> None:
    real = evaluation.__dict__["by_rules"]

    def decide(facts: Any, *others: Any) -> Any:
        if facts.candidate.error_code == "POISON":
            raise ZeroDivisionError
        return real(facts, *others)

    monkeypatch.setattr(evaluation, "by_rules", decide)


@pytest.mark.parametrize("way", ["stream", "fallback", "sweep"])
def test_what_the_evaluator_cannot_digest_is_given_up_after_its_attempts_and_ends_its_generation(
    world: World, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    raise_for_poison(monkeypatch)
    more: dict[str, Any] = {} if way == "stream" else {"intake__poll_interval": "10ms", "intake__sweep_after": "20ms"}
    more["intake__evaluation_lease"] = "600ms"  # in which the router buries it, before it is taken once more
    with running(world, **SHORT | more) as engine:
        [poison] = world.upsert(code="POISON")
        match way:
            case "stream":
                engine.add((poison, 1))
            case "fallback":
                world.sql("SELECT m10_recovery.enqueue_work(%s)", poison)
        reports(engine)
        [letter] = dead(world, 1)
        assert letter[:3] == ("evaluator_failed: ZeroDivisionError", poison, 3)
        [row] = world.sql(
            "SELECT generation, evaluated_generation, evaluation_error, decision FROM public.recovery_candidates"
            " WHERE id = %s",
            poison,
        )
        assert row == (1, 1, "evaluator_failed: ZeroDivisionError", "pending")
        assert world.settled(11).dead == 1
        world.stream_is_empty()
        assert len(copies(world)) == 1
        assert set(engine.restarts().values()) == {0}


@pytest.mark.parametrize("way", ["stream", "sweep"])
def test_an_evaluation_that_postgres_refuses_is_given_up_at_once(world: World, way: str) -> None:
    with running(world) as engine:
        [poison] = world.upsert(code="POISON")
        world.refuse("public.recovery_candidates", f"NEW.suggestion <> '' AND NEW.id = {poison}")
        if way == "stream":
            engine.add((poison, 1))
        else:
            engine.parts.redis.lost_state()
        reports(engine)
        if way == "sweep":
            engine.tree.tell("claim_worker.1", Tick("poll"))
        [letter] = dead(world, 1)
        assert letter[:2] == ("store_refused: 22000", poison)
        assert world.settled(11).dead == 1
        world.stream_is_empty()
        assert set(engine.restarts().values()) == {0}


def test_a_redis_that_refuses_the_copy_does_not_keep_the_entry(world: World) -> None:
    """T31: full, it takes nothing new and lets entries be acknowledged."""
    with running(world) as engine:
        reports(engine, 3)
        world.settled(3)
    plant_malformed(world.redis_url, NAMES.stream)
    world.raw.config_set("maxmemory", 1)
    try:
        with running(world) as engine:
            assert len(dead(world, len(MALFORMED))) == len(MALFORMED)
            world.stream_is_empty()
            assert copies(world) == []
            reports(engine, 6)
            assert world.settled(6).evaluated == 6
            assert set(engine.restarts().values()) == {0}
    finally:
        world.raw.config_set("maxmemory", 0)


def test_a_dead_letter_that_postgres_cannot_hold_is_written_without_its_fields(world: World) -> None:
    """No crash, no loop: and those that came with it are whole."""
    world.sql(
        "CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION 'too much' USING ERRCODE = '54000'; END $$"
    )
    world.sql(
        "CREATE TRIGGER refuse BEFORE INSERT ON m10_recovery.dead_letter_archive FOR EACH ROW"
        " WHEN (NEW.payload -> 'fields' ? 'huge') EXECUTE FUNCTION refuse()"
    )
    world.raw.xadd(NAMES.stream, {"huge": "x"})
    world.raw.xadd(NAMES.stream, {"small": "x"})
    with running(world) as engine:
        letters = dead(world, 2)
        assert sorted(json.dumps(letter[3]["fields"]) for letter in letters) == ['{"small": "x"}', "{}"]
        world.stream_is_empty()
        assert set(engine.restarts().values()) == {0}


def test_a_router_that_crashes_after_the_record_writes_it_once(world: World) -> None:
    with running(world, **SHORT) as engine:
        with armed("reclaim.after_dead_commit:raise:RuntimeError"):
            plant_malformed(world.redis_url, NAMES.stream)
            world.stream_is_empty()
        assert len(world.dead_letters()) == len(MALFORMED)
        assert engine.restarts()["dead_letter_router"] == 1
        assert len({copy[b"dl_msg_id"] for copy in copies(world)}) == len(MALFORMED)


def test_evaluations_are_given_up_while_redis_is_away(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Malformed entries, which cannot be acknowledged now, do not hold them up."""
    raise_for_poison(monkeypatch)
    with running(world, **SHORT, intake__poll_interval="10ms") as engine:
        world.settled(0)
        world.servers.valkey.kill()
        engine.tree.tell("dead_letter_router", GiveUp("not_utf8", entry=BadEntry(b"1-1", BadReason.NOT_UTF8, {})))
        [poison] = world.upsert(code="POISON")
        assert [letter[1] for letter in dead(world, 1)] == [poison]
        world.servers.valkey.start()
        assert set(engine.restarts().values()) == {0}


def test_the_same_malformed_entry_after_a_flush_is_another_dead_letter(world: World) -> None:
    """T5: ids repeat."""
    with running(world) as engine:
        world.raw.xadd(NAMES.stream, {"bad": "1"}, id="7-7")
        dead(world, 1)
        world.stream_is_empty()
        world.raw.flushall()
        world.raw.xadd(NAMES.stream, {"bad": "1"}, id="7-7")
        dead(world, 2)
        assert set(engine.restarts().values()) == {0}
