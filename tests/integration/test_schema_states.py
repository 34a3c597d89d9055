"""Which states of a round may follow which, whoever writes them; and that a candidate has one execution at a time."""

import json
import subprocess
import sys
from contextlib import ExitStack
from functools import partial

import psycopg
import pytest
from schema_kit import ACTION, ROUTES, Lab, refused

from m10actors.testing.database import MigratedDatabase
from m10actors.testing.waiting import eventually

ENDS = ("succeeded", "failed", "rolled_back", "skipped")
STATES = [
    *((decision, status) for decision in ("pending", "approved") for status in (None, "pending")),
    ("approved", "executing"),
    ("rejected", None),
    *(("approved", end) for end in ENDS),
]
OPEN = STATES[:4]
EXECUTING = ("approved", "executing")
MAY_FOLLOW = {
    **{state: [*OPEN, EXECUTING, ("rejected", None), *(("approved", end) for end in ENDS)] for state in OPEN},
    EXECUTING: [EXECUTING, *(("approved", end) for end in ENDS), *OPEN],  # the open ones: where no execution is open
    **{state: [state] for state in STATES[5:]},
}
"""As docs/states.md has it: from a state, as (decision, execution_status), to those that it may be followed by."""

WRITE = "UPDATE recovery_candidates SET decision = %s, execution_status = %s WHERE id = %s"


@pytest.fixture
def lab(database: MigratedDatabase) -> Lab:
    return Lab(database)


@pytest.fixture
def evaluated(lab: Lab) -> int:
    candidate = lab.open()
    lab.evaluate(candidate)
    return candidate


@pytest.mark.parametrize("before", STATES, ids=str)
def test_only_what_the_table_allows_follows_a_state(lab: Lab, evaluated: int, before: tuple[str, str | None]) -> None:
    app = lab.database.connect("app")
    app.execute(WRITE, [*before, evaluated])
    for after in STATES:
        with app.transaction(force_rollback=True):
            if after in MAY_FOLLOW[before]:
                app.execute(WRITE, [*after, evaluated])
            else:
                with app.transaction(force_rollback=True):
                    assert refused(app, WRITE, *after, evaluated) == "M1004", after


def test_what_is_refused_says_which_candidate_and_why(lab: Lab, evaluated: int) -> None:
    lab.reject(evaluated)
    with pytest.raises(psycopg.Error, match="the round has ended, and its end is final"):
        lab.sql.execute("UPDATE recovery_candidates SET execution_status = 'executing'")


def test_what_is_under_way_is_not_taken_back(lab: Lab, evaluated: int) -> None:
    lab.approve(evaluated)
    app = lab.database.connect("app")
    assert refused(app, WRITE, "pending", None, evaluated) == "M1004"
    assert refused(app, WRITE, "rejected", "failed", evaluated) == "M1004"
    assert lab.row(evaluated).execution_status == "executing"


def test_a_statement_that_only_counts_is_never_refused(lab: Lab, evaluated: int) -> None:
    lab.reject(evaluated)
    lab.repeat(evaluated)
    lab.sql.execute("UPDATE recovery_candidates SET occurrence_count = occurrence_count + 1, decision = decision")


def test_nobody_but_the_owner_writes_executions(lab: Lab) -> None:
    app = lab.database.connect("app")
    for function in (
        "end_executions('{}', '{}', '{}', '{}', 'me', 'human')",
        "count_outcomes('{}')",
        "resolve_executions('me', 1)",
        "publish_routes('{}', '{}', 'me', true)",
        "refusals('{}', '{}', '{}', '{}')",
    ):
        assert refused(app, f"SELECT m10_recovery.{function}") == "42501", function
    assert refused(app, "SELECT FROM m10_recovery.execution") == "42501"


RACER = """
import sys, psycopg
url, number, first, last = sys.argv[1], *map(int, sys.argv[2:5])
APPROVE = '''SELECT outcome FROM m10_recovery.decide_candidates(
    ARRAY[%s::bigint], ARRAY[NULL::int], 'approved', 'racer', 'racer', NULL, %s::jsonb, '1 h', true)'''
EVALUATE = '''SELECT event_id FROM m10_recovery.apply_evaluations(
    'racer', ARRAY[%s::bigint], '{2}', '{5}', ARRAY[%s], '{0.9}', '{x}', ARRAY['{}'], ARRAY['[]'], ARRAY['{}'],
    '{true}', '{1}', '{}', %s::jsonb, '{}', '{}')'''
with psycopg.connect(url, autocommit=True) as c:
    for id in range(first, last + 1):
        with c.transaction():
            c.execute("SELECT pg_advisory_xact_lock_shared(4711, %s)", [id])  # until the starter lets go
        if number % 3:
            c.execute(APPROVE, [id, sys.argv[6]])
        else:
            c.execute(EVALUATE, [id, sys.argv[5], sys.argv[6]])
"""
"""One of the processes that race to execute candidate after candidate: as a person, or as an evaluator by itself."""


def all_wait(lab: Lab, candidate: int, processes: int) -> bool:
    waiting = (
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = %s AND classid = 4711 AND NOT granted"
    )
    return bool(lab.value(waiting, candidate) == processes)


def test_of_ten_processes_that_race_to_execute_a_candidate_one_does_each_time(lab: Lab) -> None:
    rounds, processes = 100, 10
    candidates = [lab.open() for _ in range(rounds)]
    for number, candidate in enumerate(candidates):
        lab.evaluate(candidate)
        if number % 2:
            lab.repeat(candidate, times=4)  # due again: approvals come too early until an evaluator was there
    assert candidates == list(range(candidates[0], candidates[-1] + 1))
    starter = lab.database.connect("superuser")
    for candidate in candidates:
        starter.execute("SELECT pg_advisory_lock(4711, %s)", [candidate])
    given = [str(candidates[0]), str(candidates[-1]), ACTION, json.dumps(ROUTES)]
    with ExitStack() as undo:
        racing = [
            subprocess.Popen([sys.executable, "-c", RACER, lab.database.url("app"), str(number), *given])
            for number in range(processes)
        ]
        for process in racing:
            undo.callback(process.wait, 30)
            undo.callback(process.kill)
        for candidate in candidates:
            eventually(partial(all_wait, lab, candidate, processes), within=30)
            starter.execute("SELECT pg_advisory_unlock(4711, %s)", [candidate])
        assert [process.wait(30) for process in racing] == [0] * processes
    assert lab.value("SELECT count(*) FROM m10_recovery.execution") == rounds
    assert (
        lab.value("SELECT count(DISTINCT candidate_id) FROM m10_recovery.execution WHERE closed_at IS NULL") == rounds
    )
    assert lab.value("SELECT count(*) FROM m10_recovery.outbox") == rounds
