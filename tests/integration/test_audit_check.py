"""`m10 audit --check`: each promise, kept and broken."""

from datetime import timedelta

import pytest
from command_kit import Command, m10  # noqa: F401 (a fixture)
from schema_kit import Lab

from m10actors.postgres import integrity
from m10actors.postgres.integrity import INVARIANTS, Found
from m10actors.testing.database import MigratedDatabase

AT_ONCE = timedelta(0)
HURT = {
    "evaluated_beyond": "UPDATE public.recovery_candidates SET evaluated_generation = generation + 1",
    "evaluated_twice": """
        INSERT INTO m10_recovery.suggestion_provenance (suggestion_id, event_type, details)
        SELECT suggestion_id, event_type, details FROM m10_recovery.suggestion_provenance
        WHERE event_type = 'rule_evaluated'""",
    "evaluated_without_provenance": "DELETE FROM m10_recovery.suggestion_provenance",
    "executing_without_execution": "DELETE FROM m10_recovery.execution WHERE closed_at IS NULL",
    "execution_of_another_round": "UPDATE public.recovery_candidates SET round = 9",
    "execution_without_event": "DELETE FROM m10_recovery.outbox WHERE processed_at IS NULL",
    "event_without_execution": "UPDATE m10_recovery.outbox SET event_uuid = gen_random_uuid()",
    "two_open_executions": """
        DROP INDEX m10_recovery.uq_execution_open;
        INSERT INTO m10_recovery.execution (execution_id, candidate_id, round, generation, link, begun_by)
        SELECT gen_random_uuid(), candidate_id, round, generation, link + 1, begun_by FROM m10_recovery.execution
        WHERE closed_at IS NULL""",
    "link_twice": """
        INSERT INTO m10_recovery.execution (execution_id, candidate_id, round, generation, begun_by, status, closed_at)
        SELECT gen_random_uuid(), candidate_id, round, generation, begun_by, 'failed', now() FROM m10_recovery.execution
        WHERE closed_at IS NULL""",
    "end_without_moment": "UPDATE public.recovery_candidates SET closed_at = NULL",
    "outcome_not_counted": "UPDATE m10_recovery.execution SET counted = NULL",
    "action_counts_too_little": "UPDATE m10_recovery.suggestion_action SET total_applications = 0",
    "death_without_dead_letter": "DELETE FROM m10_recovery.dead_letter_archive",
    "waits_for_nothing": "UPDATE m10_recovery.outbox SET waits_behind = 12345 WHERE processed_at IS NULL",
    "delivered_and_dead": "UPDATE m10_recovery.outbox SET dead_at = processed_at",
    "epoch_not_given": "UPDATE m10_recovery.outbox SET claimed_epoch = 99 WHERE processed_at IS NULL",
    "cap_passed": """
        UPDATE m10_recovery.settings SET autonomy = '{"limits": {"total": 0}}';
        UPDATE m10_recovery.execution SET by_itself = true""",
}
"""What breaks each promise, past all that keeps it: triggers and keys are off, and an index is dropped."""


@pytest.fixture
def lab(database: MigratedDatabase) -> Lab:
    """One candidate has succeeded, one is executing, one was given up; an event of no candidate has died."""
    lab = Lab(database)
    lab.publish("1")
    lab.deliver("dead", error="http_400: no")
    lab.evaluate(done := lab.open())
    lab.approve(done)
    lab.deliver()
    lab.evaluate(executing := lab.open())
    lab.approve(executing)
    lab.bury(lab.open())
    return lab


def broken(lab: Lab, grace: timedelta = AT_ONCE) -> dict[str, Found]:
    found = integrity.check(lab.database.url("ops"), grace=grace)
    return {each.invariant.name: each for each in found if not each.holds}


def test_every_promise_has_what_breaks_it() -> None:
    assert HURT.keys() == {invariant.name for invariant in INVARIANTS}


def test_all_of_it_holds(lab: Lab) -> None:
    assert broken(lab) == {}


@pytest.mark.parametrize("name", HURT)
def test_what_breaks_a_promise_is_named(lab: Lab, name: str) -> None:
    lab.sql.execute("SET session_replication_role = replica")
    lab.sql.execute(HURT[name].encode())
    found = broken(lab)
    assert found[name].broken_by
    assert found[name].unknown is None


def test_what_a_job_is_still_to_set_right_has_its_time(lab: Lab) -> None:
    lab.sql.execute("SET session_replication_role = replica")
    came_back = (
        "UPDATE m10_recovery.execution SET came_back_at = now(), counted = 'unknown' WHERE closed_at IS NOT NULL"
    )
    lab.sql.execute(came_back.encode())
    assert broken(lab).keys() == {"outcome_not_counted"}
    assert broken(lab, integrity.GRACE) == {}


def test_an_evaluator_that_is_to_leave_no_provenance_is_not_asked_for_it(lab: Lab) -> None:
    lab.sql.execute("SET session_replication_role = replica")
    lab.sql.execute(HURT["evaluated_without_provenance"].encode())
    assert "evaluated_without_provenance" in broken(lab)
    silent = integrity.check(lab.database.url("ops"), silent=["rules"])
    assert all(each.holds for each in silent)


def test_all_is_seen_as_of_one_moment_and_nothing_can_be_written(lab: Lab) -> None:
    found = iter(integrity.check(lab.database.url("ops"), grace=AT_ONCE))
    assert next(found).holds
    lab.sql.execute("SET session_replication_role = replica")
    lab.sql.execute(HURT["delivered_and_dead"].encode())
    assert all(each.holds for each in found)
    assert "delivered_and_dead" in broken(lab)


def test_a_promise_that_cannot_be_looked_at_in_time_is_unknown_and_the_others_are_looked_at(
    lab: Lab,
    m10: Command,  # noqa: F811
) -> None:
    lab.sql.execute("BEGIN")
    lab.sql.execute("LOCK m10_recovery.lock_epoch IN ACCESS EXCLUSIVE MODE")
    words = ("audit", "--check", "--timeout", "200ms", "--database", lab.database.url("ops"))
    said = m10(*words, "--json")
    lab.sql.execute("ROLLBACK")
    assert said.code == 1
    verdicts = {each["name"]: each["holds"] for each in said.json}
    assert verdicts.pop("epoch_not_given") is None
    assert set(verdicts.values()) == {True}


def test_the_command_names_what_is_broken_and_ends_with_one(lab: Lab, m10: Command) -> None:  # noqa: F811
    words = ("audit", "--check", "--database", lab.database.url("ops"))
    fine = m10(*words)
    assert (fine.code, {row[0] for row in fine.rows}) == (0, {"holds"})
    lab.sql.execute("SET session_replication_role = replica")
    lab.sql.execute(HURT["evaluated_beyond"].encode())
    hurt = m10(*words)
    assert hurt.code == 1
    [row] = [row for row in hurt.rows if row[1] == "no candidate is evaluated beyond its generation"]
    assert (row[0], row[2], len(row[3].split(", "))) == ("broken", "candidate", 3)
