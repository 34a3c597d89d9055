"""Every metric that dashboards and alerts read moves by what it counts, with its labels."""

import time
from datetime import timedelta
from typing import Any

import metrics_kit
import pipeline_kit
import pytest
import web_kit
from metrics_kit import Moved, collecting, shows, value
from pipeline_kit import NAMES, World, failure, running
from web_kit import LOOPBACK, ROUTES, listening, open_site

from m10actors.actors.messages import OUTBOX_LEADER, RunJob, Wake
from m10actors.embedded import EmbeddedServers
from m10actors.evaluation import Evaluation, Rules, Work
from m10actors.ops.replay import LOCK
from m10actors.postgres import depths, locks, replays
from m10actors.postgres.dead_letters import LetterFilter
from m10actors.postgres.outbox import OUTBOX_LOCK
from m10actors.recovery.gates import Policy
from m10actors.testing.receiver import Answer
from m10actors.testing.waiting import eventually
from m10actors.web.apps import api_app
from m10actors.web.server import Listener

world = pipeline_kit.world
few_values = metrics_kit.few_values
SAMPLING: dict[str, Any] = {"metrics__interval": "10ms"}
EVENT = {"aggregate_type": "recovery_candidate", "event_type": "webhook:recovery"}


def test_a_failure_on_its_way_to_the_receiver_is_counted_at_each_step(world: World) -> None:
    with running(world, **SAMPLING) as engine:
        moved = Moved()
        engine.ingest([1])
        world.settled(1)
        once = {"status": "evaluated", "source": "stream"}
        moved.wait_for("recovery_ingest_total", 1, status="accepted", source="service-1")
        moved.wait_for("recovery_ingest_latency_seconds", 1, status="stored")
        moved.wait_for("recovery_ingest_enqueue_total", 1, status="stream")
        moved.wait_for("recovery_worker_claimed_total", 1, source="stream")
        moved.wait_for("recovery_worker_processed_total", 1, **once)
        moved.wait_for("recovery_worker_processing_seconds", 1)
        moved.wait_for("recovery_suggestions_total", 1, source="service-1", decision="approved")
        moved.wait_for("recovery_suggestions_latency_seconds", 1)
        moved.wait_for("m10_outbox_published_total", 1, **EVENT)
        moved.wait_for("m10_outbox_processed_total", 1, **EVENT)
        moved.wait_for("m10_outbox_processing_seconds", 1, event_type="webhook:recovery")
        shows("m10_lock_active", lambda active: active == 1, lock_name=OUTBOX_LOCK)
        shows("m10_replay_log_size", lambda rows: rows > 0)
        shows("recovery_stream_consumers", lambda consumers: consumers > 0)
        assert moved.by("m10_outbox_failed_total", **EVENT) == 0
    assert value("m10_lock_active", lock_name=OUTBOX_LOCK) is not None


def test_what_folds_into_a_known_failure_is_a_duplicate_of_its_kind(world: World) -> None:
    with running(world) as engine:
        moved = Moved()
        engine.parts.ingest.accept([failure(1, once=True), failure(2)], "test")
        engine.parts.ingest.accept([failure(1, once=True), failure(2)], "test")
        moved.wait_for("recovery_ingest_total", 1, status="duplicate", source="service-1")
        moved.wait_for("recovery_ingest_duplicates_total", 1, detection_method="idempotency_key")
        moved.wait_for("recovery_ingest_duplicates_total", 1, detection_method="candidate")
        world.settled(2)


def test_a_failed_attempt_is_counted_and_its_event_stays_open(world: World) -> None:
    attempts: list[object] = []  # more than one if it was made late before the leader had looked for more

    def fail(request: object) -> Answer:
        attempts.append(request)
        return Answer(500)

    world.receiver.answer = fail
    with running(world, **SAMPLING, outbox__retry_schedule=["1h"] * 5) as engine:
        moved = Moved()
        engine.ingest([1])
        moved.wait_for("m10_outbox_failed_total", 1, **EVENT)
        shows("m10_outbox_pending", lambda pending: pending == 1)

        def is_late() -> bool:
            overdue = "process_after = now() - interval '1 min' WHERE claimed_at IS NULL"
            world.sql(f"UPDATE m10_recovery.outbox SET {overdue}")
            return (value("m10_outbox_lag_seconds") or 0) >= 60

        eventually(is_late)
        world.receiver.answer = lambda _: Answer()
        engine.tree.tell(OUTBOX_LEADER, Wake())
        world.settled(1)
        moved.wait_for("m10_outbox_processed_total", 1, **EVENT)
        assert moved.by("m10_outbox_failed_total", **EVENT) == len(attempts)
        shows("m10_outbox_pending", lambda pending: pending == 0)


def test_a_delivery_is_counted_when_it_is_written_not_when_it_came_back(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    [poison] = world.upsert()
    world.refuse("m10_recovery.outbox", f"NEW.processed_at IS NOT NULL AND NEW.aggregate_id = '{poison}'")
    with running(world) as engine:
        moved = Moved()
        engine.add((poison, 1))
        eventually(lambda: "outcome_refused" in caplog.messages)
        engine.ingest([1])
        moved.wait_for("m10_outbox_processing_seconds", 2, event_type="webhook:recovery")
        moved.wait_for("m10_outbox_processed_total", 1, **EVENT)


def test_what_is_given_up_is_counted_by_its_reason_and_once_more_when_it_is_replayed(world: World) -> None:
    with running(world, **SAMPLING) as engine:
        [poison] = world.upsert(code="POISON")
        world.refuse("public.recovery_candidates", f"NEW.suggestion <> '' AND NEW.id = {poison}")
        moved = Moved()
        engine.add((poison, 1))
        moved.wait_for("recovery_dead_letter_added_total", 1, reason="store_refused")
        moved.wait_for("recovery_worker_processed_total", 1, status="failed", source="stream")
        moved.wait_for("m10_archive_total", 1, source="engine")
        shows("recovery_dead_letter_length", lambda length: length == 1)
        shows("m10_dead_letter_oldest_seconds", lambda age: age >= 0)
        shows("m10_archive_size", lambda size: size == 1)
        world.sql("DROP TRIGGER refuse ON public.recovery_candidates")
        run = replays.begin(world.ops, LetterFilter(), 3, 0.1, "local:op", "repaired")
        epoch = locks.acquire(world.ops, LOCK, "me", timedelta(minutes=1))
        assert run is not None
        assert epoch is not None
        assert len(replays.replay_items(world.ops, run.id, "me", epoch, "local:op", 10)) == 1
        for _ in range(2):
            engine.tree.tell("job_runner", RunJob("dead_letter_reconcile", time.monotonic()))
        moved.wait_for("recovery_dead_letter_replayed_total", 1)
        shows("recovery_dead_letter_length", lambda length: length == 0)
        engine.add((poison, 2))
        assert world.settled(1).evaluated == 1
    assert moved.by("recovery_dead_letter_replayed_total") == 1


def test_a_lock_that_another_holder_has_is_a_lock_not_acquired(world: World) -> None:
    held = locks.acquire(world.ops, OUTBOX_LOCK, "another", timedelta(minutes=1))
    assert held is not None
    moved = Moved()
    with running(world, **SAMPLING):
        moved.wait_for("m10_lock_failed_total", lock_name=OUTBOX_LOCK)
        locks.release(world.ops, OUTBOX_LOCK, "another", held)
        moved.wait_for("m10_lock_acquired_total", 1, lock_name=OUTBOX_LOCK)


def test_a_refreshed_view_is_young_again(world: World) -> None:
    world.sql("UPDATE m10_recovery.matview_refresh_log SET started_at = now() - interval '2 h'")
    with running(world, **SAMPLING) as engine:
        shows("recovery_matview_age_seconds", lambda age: age > 7000, view_name="mv_top_pending")
        moved = Moved()
        engine.tree.tell("job_runner", RunJob("matview_refresh", time.monotonic()))
        moved.wait_for("recovery_matview_refresh_total", 1, view_name="mv_top_pending", status="success")
        shows("recovery_matview_age_seconds", lambda age: age < 60, view_name="mv_top_pending")


def test_executions_are_seen_while_they_are_open_and_counted_by_how_they_end(world: World) -> None:
    world.receiver.answer = lambda _request: Answer(200, body=b'{"status": "running"}')
    moved = Moved()
    with running(world, **SAMPLING) as engine:
        engine.ingest([1])
        moved.wait_for("m10_outbox_processed_total", 1, **EVENT)
        shows("m10_executions_open", lambda count: count == 1)
        world.sql("UPDATE m10_recovery.execution SET begun_at = begun_at - interval '2 h'")
        world.sql("UPDATE m10_recovery.outbox SET processed_at = processed_at - interval '2 h'")
        shows("m10_executions_oldest_seconds", lambda age: age > 7000)
        engine.tree.tell("job_runner", RunJob("execution_check", time.monotonic()))
        moved.wait_for("m10_execution_outcomes_total", 1, outcome="unknown")
        shows("m10_executions_open", lambda count: count == 0)
        world.receiver.answer = lambda _request: Answer(200)
        engine.ingest([2])
        moved.wait_for("m10_execution_outcomes_total", 1, outcome="succeeded")


def test_what_is_rejected_and_what_people_decide_is_counted(servers: EmbeddedServers) -> None:
    with (
        open_site(servers.start(), "web_metrics") as site,
        listening(site, Listener("api", LOOPBACK, api_app(site.services))),
    ):
        moved = Moved()
        assert site.ingest({"failure_payload": {}}).status == 422
        moved.wait_for("recovery_ingest_total", 1, status="rejected", source="")
        candidate = site.ingest(web_kit.failure(source="a service")).json["candidate_id"]
        moved.wait_for("recovery_ingest_total", 1, status="accepted", source="a service")
        rules = Rules(Policy(destinations_for=frozenset(ROUTES)), ROUTES)
        Evaluation(site.services.database, "worker", lambda: rules).evaluate([Work(candidate, None)], "stream")
        moved.wait_for("recovery_suggestions_total", 1, source="a service", decision="pending")
        assert site.approve({"candidate_id": candidate, "decision": "approved"}).status == 200
        moved.wait_for("recovery_approvals_total", 1, decision="approved")
        moved.wait_for("m10_outbox_published_total", 1, **EVENT)


def test_depths_and_ages_are_those_of_the_stores(world: World) -> None:
    ids = world.upsert(4)
    world.sql(
        "UPDATE public.recovery_candidates SET created_at = now() - interval '300 s', due_at = now() - interval '200 s'"
    )
    world.sql("SELECT m10_recovery.enqueue_work(id, NULL, 0, 'test') FROM unnest(%s::bigint[]) id", ids[:3])
    world.sql("UPDATE m10_recovery.work_queue SET queued_at = now() - interval '100 s'")
    world.sql("SELECT m10_recovery.claim_work('worker', 1)")
    world.sql(
        "UPDATE m10_recovery.work_queue SET claimed_at = now() - interval '6 minutes' WHERE claimed_at IS NOT NULL"
    )
    world.sql("SELECT m10_recovery.publish_outbox('a', '1', 'http:test', '{}')")
    world.sql(
        "UPDATE m10_recovery.outbox SET created_at = now() - interval '50 s', process_after = now() - interval '25 s'"
    )
    for candidate in ids[:3]:
        world.raw.xadd(NAMES.stream, {"candidate_id": candidate})
    world.raw.xreadgroup(NAMES.group, "consumer", {NAMES.stream: ">"}, count=2)
    with collecting(world):
        depths = {
            "recovery_candidates_pending": 4,
            "m10_evaluations_due": 4,
            "recovery_db_queue_depth": 3,
            "recovery_db_queue_stalled": 1,
            "m10_outbox_pending": 1,
            "recovery_stream_length": 3,
            "recovery_stream_pending": 2,
            "recovery_stream_consumers": 1,
            "recovery_dead_letter_length": 0,
        }
        for name, depth in depths.items():
            shows(name, lambda found, depth=depth: found == depth)  # type: ignore[misc]
        ages = {
            "m10_candidates_pending_oldest_seconds": 300,
            "m10_evaluations_due_oldest_seconds": 200,
            "m10_db_queue_oldest_seconds": 100,
            "m10_outbox_oldest_seconds": 50,
            "m10_outbox_lag_seconds": 25,
        }
        for name, age in ages.items():
            shows(name, lambda found, age=age: age <= found < age + 20)  # type: ignore[misc]
        shows("m10_stream_oldest_seconds", lambda age: 0 < age < 20)
        shows("m10_stream_pending_oldest_seconds", lambda age: 0 < age < 20)
        assert value("m10_dead_letter_oldest_seconds") == 0


def test_a_sample_reads_indexes_of_what_is_open_and_no_table(world: World) -> None:
    """With more done than open, so that the planner has the choice."""
    world.sql(
        "INSERT INTO public.recovery_candidates (failure_match_id, suggestion, decision, evaluated_generation)"
        " SELECT gen_random_uuid(), '', CASE WHEN n > 19000 THEN 'pending' ELSE 'approved' END, (n <= 19000)::int"
        " FROM generate_series(1, 20000) n"
    )
    world.sql(
        "INSERT INTO m10_recovery.outbox (aggregate_type, aggregate_id, event_type, payload, processed_at)"
        " SELECT 'a', n::text, 'e', '{}', CASE WHEN n <= 19000 THEN now() END FROM generate_series(1, 20000) n"
    )
    world.sql(
        "INSERT INTO m10_recovery.work_queue (candidate_id, processed_at, claimed_at)"
        " SELECT n, CASE WHEN n <= 19000 THEN now() END, CASE WHEN n > 19900 THEN now() END"
        " FROM generate_series(1, 20000) n"
    )
    world.sql("INSERT INTO m10_recovery.replay_log (message_id) SELECT n FROM generate_series(1, 30000) n")
    world.sql("VACUUM ANALYZE")
    plan = "\n".join(row[0] for row in world.sql("EXPLAIN SELECT * FROM m10_recovery.metrics_depths"))
    for table in ("recovery_candidates", "outbox_0", "work_queue", "replay_log"):  # other partitions are empty
        assert f"Seq Scan on {table}" not in plan, plan
    for index in (
        "ix_rc_pending",
        "ix_rc_due",
        "ix_work_claimable",
        "outbox_0_aggregate_type_aggregate_id_id_process_after_idx",
    ):
        assert f"Index Only Scan using {index}" in plan, plan
    found = depths.depths(world.database.pool("metrics"))
    assert (found.candidates_pending, found.evaluations_due, found.work_depth, found.outbox_pending) == (1000,) * 4
    assert found.replay_log_size == 30_000
