"""What a second walk found, through states, people, evaluators and replays: each of these failed before."""

from datetime import timedelta
from functools import partial

import pytest
from schema_kit import ACTION, ROUTES, Lab, in_background

from m10actors.postgres import controls, evaluations, executions, locks, replays, waiting
from m10actors.postgres.dead_letters import LetterFilter
from m10actors.postgres.executions import Resolved
from m10actors.recovery.pauses import Part
from m10actors.testing import states
from m10actors.testing.database import MigratedDatabase
from m10actors.testing.waiting import eventually

COUNTS = "SELECT total_applications, successful_applications FROM m10_recovery.suggestion_action WHERE action_code = %s"


@pytest.fixture
def lab(database: MigratedDatabase) -> Lab:
    return Lab(database)


def test_all_steps_of_a_candidates_life_at_once_deadlock_nowhere_and_add_up(database: MigratedDatabase) -> None:
    result = states.run(database, seed=7, players=8, seconds=30, rounds=60)
    assert result.sound, str(result)


def test_a_failure_that_came_back_is_counted_once_by_two_jobs_at_once(lab: Lab) -> None:
    candidate = lab.open()
    lab.evaluate(candidate, execute=True)
    lab.deliver("running")
    execution = lab.value("SELECT execution_id FROM m10_recovery.execution")
    executions.report(lab.app, execution, "succeeded", None, "receiver")
    lab.repeat(candidate)
    resolve = partial(executions.resolve, lab.database.pool("ops"), "job", 100)
    holder = lab.database.connect("superuser")
    with holder.transaction():
        holder.execute("SELECT FROM m10_recovery.suggestion_action FOR UPDATE")
        jobs = [in_background(resolve)]
        lab.until_somebody_waits()
        jobs.append(in_background(resolve))
        eventually(lambda: jobs[1].done() or _waiting(lab) == 2)
    assert sum(job.result(10).came_back for job in jobs) == 1
    assert lab.sql.execute(COUNTS, [ACTION]).fetchone() == (1, 0)


def _waiting(lab: Lab) -> int:
    query = (
        "SELECT count(DISTINCT pid) FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE NOT granted AND datname = %s"
    )
    return int(lab.value(query, lab.database.name))


def test_what_another_program_begins_in_a_later_round_has_its_full_time(lab: Lab) -> None:
    candidate = lab.open()
    lab.evaluate(candidate)
    lab.sql.execute(
        "UPDATE recovery_candidates SET decision = 'approved', execution_status = 'executing',"
        " last_executed_at = now() - interval '3 days', updated_at = now() - interval '3 days'"
    )
    job = lab.database.pool("ops", size=1)
    assert executions.resolve(job, "job", 100) == Resolved(adopted=1, unknown=0, came_back=0)
    assert executions.resolve(job, "job", 100) == Resolved(adopted=0, unknown=0, came_back=0)
    assert lab.row(candidate).execution_status == "executing"


def test_a_state_that_another_program_inserted_and_nothing_may_end_stops_no_other_execution(lab: Lab) -> None:
    candidate = lab.open()
    lab.evaluate(candidate, execute=True)
    lab.deliver("running")
    lab.sql.execute(
        "INSERT INTO recovery_candidates (failure_match_id, suggestion, decision, execution_status)"
        " VALUES (gen_random_uuid(), 'x', 'rejected', 'executing')"
    )
    job = lab.database.pool("ops", size=1)
    executions.resolve(job, "job", 100)
    lab.sql.execute("UPDATE m10_recovery.execution SET begun_at = begun_at - interval '1 day'")
    lab.sql.execute("UPDATE m10_recovery.outbox SET processed_at = processed_at - interval '1 day'")
    assert executions.resolve(job, "job", 100).unknown == 1
    assert lab.row(candidate).execution_status == "failed"


def test_an_event_whose_candidate_another_program_left_in_an_odd_state_is_sent_again_with_the_others(lab: Lab) -> None:
    odd, usual = lab.open(), lab.open()
    for candidate in (odd, usual):
        lab.evaluate(candidate, execute=True)
    lab.deliver("dead", error="http_400")
    with lab.sql.transaction():
        lab.sql.execute("SET LOCAL session_replication_role = replica")  # as it was left before states were enforced
        lab.sql.execute("UPDATE recovery_candidates SET decision = 'pending' WHERE id = %s", [odd])
    ops = lab.database.pool("ops", size=1)
    epoch = locks.acquire(ops, "dlq_replay", "h", timedelta(minutes=1))
    run = replays.begin(ops, LetterFilter(), 3, 0.1, "ann", "why")
    assert epoch is not None and run is not None  # noqa: PT018
    assert [each.refused for each in replays.replay_items(ops, run.id, "h", epoch, "ann", 10)] == [None, None]
    assert [lab.row(each).execution_status for each in (odd, usual)] == ["failed", "executing"]
    assert {settled.state for settled in lab.deliver("delivered")} == {"done"}
    assert [lab.row(each).execution_status for each in (odd, usual)] == ["failed", "succeeded"]


def test_the_stop_switch_holds_what_no_person_approved_after_its_round_has_ended_too(lab: Lab) -> None:
    by_itself, approved = lab.open(), lab.open()
    lab.evaluate(by_itself, execute=True)
    lab.evaluate(approved)
    lab.approve(approved)
    lab.deliver("failed", delay=timedelta(0))
    for candidate in (by_itself, approved):
        lab.sql.execute("UPDATE recovery_candidates SET execution_status = 'succeeded' WHERE id = %s", [candidate])
        lab.age(candidate, timedelta(hours=2))
        lab.repeat(candidate)
        assert lab.row(candidate).round == 2
    controls.pause(lab.database.pool("ops", size=1), [Part.ACTIONS], "ann", "it makes things worse", None)
    assert [(event.aggregate_id, event.by_itself) for event in lab.claim(lab.lead())] == [(str(approved), False)]


def test_a_count_that_another_program_wrote_to_its_end_lets_executions_end(lab: Lab) -> None:
    lab.sql.execute("UPDATE m10_recovery.suggestion_action SET total_applications = 9223372036854775807")
    candidate = lab.open()
    lab.evaluate(candidate, execute=True, routes=ROUTES)
    [settled] = lab.deliver("delivered")
    assert (settled.state, lab.row(candidate).execution_status) == ("done", "succeeded")


def test_retention_keeps_what_waits_for_an_evaluator_and_since_when(lab: Lab) -> None:
    candidate = lab.open()
    waiting.wait_for(lab.app, "w", [(candidate, 1, "slow")])
    [taken] = waiting.claim(lab.app, "w", "slow", 1, timedelta(minutes=1))
    waiting.ask_again(lab.app, "w", [waiting.Again(*taken.key, timedelta(hours=1))])
    lab.database.pool("ops", size=1).value("delete_claims", {"older_than": timedelta(days=7), "limit": 10})
    [left] = evaluations.attempts_made(lab.app, [(candidate, 1)]).values()
    assert (left.attempts, left.evaluator) == (1, "slow")
    lab.evaluate(candidate)
    assert not evaluations.attempts_made(lab.app, [(candidate, 1)])


def test_retention_forgets_claims_of_what_was_evaluated_or_never_came(lab: Lab) -> None:
    candidate = lab.open()
    lab.evaluate(candidate)
    lab.sql.execute(
        "INSERT INTO m10_recovery.evaluation_claim (candidate_id, generation, claimed_by, claimed_until)"
        " VALUES (%s, 1, 'w', now() - interval '8 days'), (404, 1, 'w', now() - interval '8 days'),"
        " (405, 1, 'w', now() - interval '1 day')",
        [candidate],
    )
    ops = lab.database.pool("ops", size=1)
    assert ops.value("delete_claims", {"older_than": timedelta(days=7), "limit": 10}) == 2
