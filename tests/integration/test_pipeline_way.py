"""The way of a failure through the real tree, woken from step to step: every poll is an hour away."""

import json
from typing import Any

import pipeline_kit
import psycopg
from pipeline_kit import NAMES, World, running

from m10actors.testing.receiver import Request
from m10actors.testing.waiting import eventually

world = pipeline_kit.world
SHORT: dict[str, Any] = {
    "tree__reclaimer__poll": "5ms",
    "intake__claim_idle": "30ms",
    "intake__evaluation_lease": "30ms",
}


def test_one_failure_goes_from_ingest_to_its_receiver_step_by_step(world: World) -> None:
    seen: list[Request] = []
    world.receiver.on_delivery = lambda request, _: seen.append(request)
    with running(world) as engine:
        [candidate] = engine.ingest([1])
        world.sound(1)
        world.stream_is_empty()
    [request] = seen
    body = json.loads(request.body)
    assert (body["candidate_id"], body["generation"], body["action"]) == (candidate, 1, "retry_exponential")
    assert request.token == 1
    assert request.key in world.receiver.ledger.taken()
    [row] = world.sql(
        "SELECT generation, evaluated_generation, decision, approved_by_human, execution_status, execution_result"
        " FROM public.recovery_candidates"
    )
    assert row == (1, 1, "approved", None, "succeeded", {"status": 200, "answer": ""})
    steps = world.sql(
        "SELECT event_type, actor FROM m10_recovery.suggestion_provenance WHERE suggestion_id = %s ORDER BY id",
        candidate,
    )
    assert [step for step, _ in steps] == ["created", "rule_evaluated", "action_selected", "executed", "success"]
    created, *evaluated, delivered = (actor.partition("/")[2] for _, actor in steps)
    assert (created, delivered) == ("", "outbox_leader")
    [worker] = set(evaluated)
    assert worker.startswith(("claim_worker.", "spare_worker."))  # who of them asked first
    assert world.sql("SELECT message_id FROM m10_recovery.replay_log") == [(f"{candidate}:1",)]
    for table in ("evaluation_claim", "work_queue", "dead_letter_archive", "distributed_locks"):
        assert world.sql(f"SELECT count(*) FROM m10_recovery.{table}") == [(0,)], table


def test_an_idle_system_is_woken_by_each_failure(world: World) -> None:
    with running(world) as engine:
        for number in range(1, 16):
            engine.ingest([number])
            world.settled(number)
        world.sound(15)
        assert set(engine.restarts().values()) == {0}


def test_a_burst_is_shared_among_the_workers_and_every_one_is_done_once(world: World) -> None:
    with running(world, intake__batch_size=5, intake__claim_workers=4) as engine:
        for first in range(0, 300, 50):
            engine.ingest(range(first, first + 50))
        world.sound(300)
        world.stream_is_empty()
        busy = world.sql("SELECT DISTINCT actor FROM m10_recovery.suggestion_provenance WHERE event_type = 'executed'")
        assert len(busy) > 1


def test_a_threshold_passed_by_repeats_is_a_new_generation_with_a_message_of_its_own(world: World) -> None:
    with running(world) as engine:
        [candidate] = engine.ingest([1], code="UNKNOWN")
        world.settled(1)
        engine.ingest([1] * 4, code="UNKNOWN")
        eventually(lambda: world.sql("SELECT evaluated_generation FROM public.recovery_candidates") == [(2,)])
        world.stream_is_empty()
        assert world.sql("SELECT message_id FROM m10_recovery.replay_log ORDER BY id") == [
            (f"{candidate}:1",),
            (f"{candidate}:2",),
        ]


def test_entries_of_other_programs_and_entries_that_come_again_are_done_and_acknowledged(world: World) -> None:
    with running(world) as engine:
        [candidate] = engine.ingest([1])
        world.settled(1)
        engine.add((candidate, 1))  # done
        world.raw.xadd(NAMES.stream, {"candidate_id": candidate})  # nothing is due
        world.stream_is_empty()
        [due] = world.upsert()
        world.raw.xadd(NAMES.stream, {"candidate_id": due})
        assert world.settled(2).evaluated_twice == 0
        world.stream_is_empty()


def test_an_entry_that_is_faster_than_its_commit_waits_for_it(world: World) -> None:
    """T2: for up to three leases."""
    leases = {"intake__claim_idle": "300ms", "intake__evaluation_lease": "300ms"}
    with running(world, **SHORT | leases) as engine, psycopg.connect(world.database.url("superuser")) as transaction:
        [(candidate, _, _)] = transaction.execute(
            "SELECT * FROM public.upsert_recovery_candidate(gen_random_uuid(), '', 0, '{}', 'TIMEOUT', 's', 'x', 'x')"
        ).fetchall()
        engine.add((candidate, 1))
        eventually(lambda: world.sql("SELECT attempts FROM m10_recovery.evaluation_claim"))
        assert world.stream() == (1, 1)
        transaction.commit()
        world.sound(1)
        world.stream_is_empty()


def test_what_was_committed_without_a_message_is_swept_when_it_is_overdue(world: World) -> None:
    """T1: the process died between the commit and the message."""
    world.upsert(20)
    with running(world, intake__sweep_after="1ms", intake__poll_interval="10ms"):
        world.sound(20)


def test_the_order_of_the_drain_leaves_nothing_in_hand(world: World) -> None:
    """Stopped under load: what was taken is done or handed back, and the next engine does the rest."""
    with running(world, intake__batch_size=3) as engine:
        engine.ingest(range(200))
    assert world.sql("SELECT count(*) FROM m10_recovery.distributed_locks") == [(0,)]
    with running(world, **SHORT):
        world.sound(200)
        world.stream_is_empty()
