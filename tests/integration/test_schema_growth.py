"""What bounds each table, and what retention leaves of what decisions still go by."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from schema_kit import Lab, refused

from m10actors.application.jobs import retention_rules
from m10actors.config import Settings
from m10actors.postgres.pool import Database
from m10actors.testing.database import MigratedDatabase

HALF_A_YEAR = timedelta(days=180)
BY_RETENTION = {
    "accepted_key": "delete_accepted_keys",
    "admission_count": "delete_admissions",
    "approval": "delete_approvals",
    "control_log": "delete_control_log",
    "dead_letter_archive": "delete_dead_letters",
    "dead_letter_purge": "delete_purges",
    "evaluation_claim": "delete_claims",
    "execution": "delete_executions",
    "matview_refresh_log": "delete_refresh_log",
    "outbox": "delete_outbox",
    "recovery_candidates": "archive_candidates",
    "replay_item": "delete_replay_runs",
    "replay_log": "delete_replay_log",
    "replay_run": "delete_replay_runs",
    "suggestion_input": "archive_inputs",
    "suggestion_provenance": "archive_provenance",
    "work_queue": "delete_work",
}
BY_SOMETHING_ELSE = {
    "api_token": "the operator who makes them",
    "control": "the parts of an engine",
    "dead_letter_gone": "the job dead_letter_reconcile",
    "decision_context": "the states of actions and policy, which decisions share",
    "distributed_locks": "the job expired_locks",
    "job_run": "the names of jobs",
    "lock_epoch": "the names of locks",
    "paused_destination": "the destinations",
    "recovery_candidates_archive": "the operator, for whom it is kept",
    "retention_jobs": "the rules of retention",
    "schema_migration": "the migrations",
    "settings": "one row",
    "suggestion_action": "the operator who adds actions",
    "suggestion_input_archive": "the operator, for whom it is kept",
    "suggestion_provenance_archive": "the operator, for whom it is kept",
}


@pytest.fixture
def lab(database: MigratedDatabase) -> Lab:
    return Lab(database)


@pytest.fixture
def ops(database: MigratedDatabase) -> Database:
    return database.pool("ops", size=1)


def test_every_table_has_what_bounds_it(lab: Lab) -> None:
    found = lab.sql.execute(
        """SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND NOT relispartition
           AND (relnamespace = 'm10_recovery'::regnamespace OR relname = 'recovery_candidates')"""
    )
    assert {row[0] for row in found} == BY_RETENTION.keys() | BY_SOMETHING_ELSE.keys()
    assert {rule.query for rule in retention_rules(Settings().retention)} == set(BY_RETENTION.values())


def executed(lab: Lab, candidate: int, rounds: range, outcome: str = "helped", days: int = 400) -> None:
    """Executions that ended `days` ago, a second apart, the later rounds later."""
    lab.sql.execute(
        """INSERT INTO m10_recovery.execution (execution_id, candidate_id, round, generation, action_id, error_code,
               fingerprint, source, begun_by, status, ended_by, closed_at, result, result_at)
           SELECT gen_random_uuid(), c.id, r, r, (SELECT min(a.id) FROM m10_recovery.suggestion_action a), c.error_code,
               c.fingerprint, c.source, 'rules', 'succeeded', 'answer',
               now() - make_interval(days => %s::int, secs => 9999 - r),
               CASE %s::text WHEN 'helped' THEN 'succeeded' END, CASE %s::text WHEN 'helped' THEN now() END
           FROM recovery_candidates c, generate_series(%s::int, %s::int) AS r WHERE c.id = %s""",
        [days, outcome, outcome, rounds.start, rounds.stop - 1, candidate],
    )


def forever(lab: Lab, round_: int) -> int:
    """A candidate in that round, of a fingerprint and an error code of its own."""
    candidate = lab.open()
    lab.sql.execute(
        "UPDATE recovery_candidates SET round = %s, error_code = 'C' || id, fingerprint = 'f' || id WHERE id = %s",
        [round_, candidate],
    )
    return candidate


def left(lab: Lab, candidate: int) -> list[int]:
    statement = "SELECT round FROM m10_recovery.execution WHERE candidate_id = %s ORDER BY round"
    return [row[0] for row in lab.sql.execute(statement, [candidate])]


def history(lab: Lab, candidate: int) -> list[Any]:
    """What a decision about it goes by, as of one moment."""
    return lab.sql.execute(
        """SELECT p.* FROM recovery_candidates c,
               m10_recovery.past_cases(ARRAY[c.error_code], ARRAY[c.fingerprint], '2030-01-01') p
           WHERE c.id = %s ORDER BY p.kind""",
        [candidate],
    ).fetchall()


def delete_executions(ops: Database, limit: int = 1000) -> int:
    return int(ops.value("delete_executions", {"older_than": HALF_A_YEAR, "limit": limit}))


def test_of_what_recurs_for_ever_the_outcomes_that_decisions_go_by_stay(lab: Lab, ops: Database) -> None:
    candidate = forever(lab, 120)
    executed(lab, candidate, range(1, 120))
    executed(lab, candidate, range(120, 121), "unknown")
    before = history(lab, candidate)
    assert [delete_executions(ops, 40), delete_executions(ops, 40)] == [40, 29]
    assert left(lab, candidate) == list(range(70, 121))
    assert history(lab, candidate) == before != []


def test_executions_of_which_nobody_knows_the_outcome_go_by_their_age_alone(lab: Lab, ops: Database) -> None:
    candidate = forever(lab, 60)
    executed(lab, candidate, range(1, 30), "unknown")
    executed(lab, candidate, range(30, 60), "unknown", days=100)
    assert delete_executions(ops) == 29
    assert left(lab, candidate) == list(range(30, 60))


def test_an_outcome_stays_while_its_fingerprint_or_its_error_code_has_few(lab: Lab, ops: Database) -> None:
    """The same failure may have come under several codes, and a code has many fingerprints."""
    one, other = forever(lab, 60), forever(lab, 60)
    lab.sql.execute("UPDATE recovery_candidates SET error_code = 'TIMEOUT'")
    executed(lab, one, range(1, 41))
    executed(lab, other, range(1, 60))
    assert (
        delete_executions(ops) == 9
    )  # of the code there are 99; of the fingerprint of `one` 40, of that of `other` 59
    assert (left(lab, one), left(lab, other)) == (list(range(1, 41)), list(range(10, 60)))


def test_executions_without_code_and_fingerprint_are_no_history(lab: Lab, ops: Database) -> None:
    candidate = forever(lab, 60)
    lab.sql.execute("UPDATE recovery_candidates SET error_code = NULL, fingerprint = NULL")
    executed(lab, candidate, range(1, 60))
    assert delete_executions(ops) == 59


def test_a_candidate_of_few_rounds_keeps_its_executions(lab: Lab, ops: Database) -> None:
    candidate = forever(lab, 50)
    executed(lab, candidate, range(1, 50), "unknown")
    assert delete_executions(ops) == 0


def test_approvals_and_what_operators_did_are_deleted_after_their_time(lab: Lab, ops: Database) -> None:
    candidate = lab.open()
    lab.sql.execute(
        """INSERT INTO m10_recovery.approval (candidate_id, round, generation, action_code, event_type, person, named,
               approved_at, expires_at)
           SELECT %s, 1, 1, 'a', 'e', 'ann', 'ann', now() - '9 years'::interval, now() - make_interval(days => d)
           FROM generate_series(1, 4) AS d""",
        [candidate],
    )
    lab.sql.execute(
        """INSERT INTO m10_recovery.control_log (part, change, changed_by, changed_at)
           SELECT 'jobs', 'paused', 'ann', now() - make_interval(days => d) FROM generate_series(1, 4) AS d"""
    )
    lab.sql.execute(
        """INSERT INTO m10_recovery.dead_letter_purge (wanted, asked_by, why, began_at)
           SELECT '{}', 'ann', 'old', now() - make_interval(days => d) FROM generate_series(1, 4) AS d"""
    )
    batch: Mapping[str, object] = {"older_than": timedelta(days=1.5), "limit": 2}
    for query, table in (
        ("delete_approvals", "approval"),
        ("delete_control_log", "control_log"),
        ("delete_purges", "dead_letter_purge"),
    ):
        assert [ops.value(query, batch) for _ in range(3)] == [2, 1, 0]
        assert lab.value(f"SELECT count(*) FROM m10_recovery.{table}") == 1


def test_who_approved_and_who_paused_is_deleted_by_retention_only(lab: Lab) -> None:
    app, ops = lab.database.connect("app"), lab.database.connect("ops")
    denied = psycopg.errors.InsufficientPrivilege.sqlstate
    for table in ("approval", "control_log"):
        assert refused(ops, f"DELETE FROM m10_recovery.{table}") == denied
    for function in ("delete_approvals", "delete_control_log"):
        assert refused(app, f"SELECT m10_recovery.{function}('1 day', 1)") == denied
