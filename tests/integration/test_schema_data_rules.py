"""The data rules of the document: inputs, references, what is counted and what is listed; and what an upgrade keeps."""

import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from schema_kit import ACTION, ROUTES, Lab

from m10actors.embedded import EmbeddedServers
from m10actors.evaluation import Evaluation, Rules, Work
from m10actors.evaluators import Facts, Proposal
from m10actors.evaluators.chain import Chain, Step
from m10actors.postgres import candidates
from m10actors.postgres.migrate import create_database, migrate
from m10actors.recovery.decision import from_record
from m10actors.recovery.gates import Policy
from m10actors.shipped import shipped
from m10actors.testing.database import MigratedDatabase


@pytest.fixture
def lab(database: MigratedDatabase) -> Lab:
    return Lab(database)


INSERT = "INSERT INTO recovery_candidates (failure_match_id, suggestion, error_code) VALUES (%s, 'x', 'TIMEOUT')"
UPSERT = "SELECT public.upsert_recovery_candidate(%s, '', 0, '{}', 'TIMEOUT', '', 'api', 'another')"


@pytest.mark.parametrize("statement", [None, INSERT, UPSERT])
def test_a_candidate_has_its_input_and_the_first_row_of_its_provenance_however_it_is_opened(
    lab: Lab, statement: str | None
) -> None:
    if statement is None:
        lab.open()
    else:
        lab.database.connect("app").execute(statement.encode(), [uuid4()])
    [row] = lab.sql.execute("SELECT input_type, raw_value FROM m10_recovery.suggestion_input").fetchall()
    assert row[0] == "failure"
    assert "TIMEOUT" in row[1]
    [created] = lab.sql.execute("SELECT event_type, actor FROM m10_recovery.suggestion_provenance").fetchall()
    assert created == ("created", {None: "test", INSERT: "m10_app", UPSERT: "another"}[statement])


def test_provenance_keeps_what_each_decision_saw_and_what_it_changed(lab: Lab) -> None:
    candidate = lab.open()
    evaluator = Evaluation(lab.app, "w", lambda: Rules(Policy(), {}))
    evaluator.evaluate([Work(candidate, None)], "test")
    lab.repeat(candidate, times=4)
    evaluator.evaluate([Work(candidate, None)], "test")
    assert lab.provenance(candidate) == [
        "created", "rule_evaluated", "action_selected", "rule_evaluated", "confidence_updated",
    ]  # fmt: skip
    kept = """SELECT m10_recovery.whole_record(details) FROM m10_recovery.suggestion_provenance
              WHERE event_type = 'rule_evaluated' ORDER BY id"""
    records = [row[0] for row in lab.sql.execute(kept)]
    assert [record["generation"] for record in records] == [1, 2]
    assert [from_record(record).confidence for record in records] == [0.85, 0.875]


def test_what_the_records_of_decisions_share_is_kept_once(lab: Lab) -> None:
    evaluator = Evaluation(lab.app, "w", lambda: Rules(Policy(), {}))
    evaluator.evaluate([Work(lab.open(), None) for _ in range(3)], "test")
    evaluator.evaluate([Work(lab.open(), None)], "test")
    [(digest, content)] = lab.sql.execute("SELECT digest, content FROM m10_recovery.decision_context").fetchall()
    own = "SELECT details FROM m10_recovery.suggestion_provenance WHERE event_type = 'rule_evaluated'"
    records = [row[0] for row in lab.sql.execute(own)]
    assert [record["context"] for record in records] == [digest] * 4
    assert not any(content.keys() & record.keys() for record in records)


class Sure:
    """Proposes the same for everybody."""

    def evaluate(self, batch: Sequence[Facts]) -> Iterable[Proposal]:
        return [Proposal(each.candidate.id, ACTION, 0.9, "because") for each in batch]


@pytest.mark.parametrize("provenance", [True, False])
def test_an_evaluator_may_leave_no_provenance_of_what_it_decides(lab: Lab, provenance: bool) -> None:
    chain = Chain((Step("sure", Sure(), provenance=provenance),))
    policy = Policy(auto_execute=True, destinations_for=frozenset(ROUTES))
    candidate = lab.open()
    Evaluation(lab.app, "w", lambda: Rules(policy, ROUTES, chain=chain)).evaluate([Work(candidate, None)], "test")
    assert lab.provenance(candidate)[1:] == (["rule_evaluated", "action_selected", "executed"] if provenance else [])
    row = lab.row(candidate)
    assert (row.decision, row.execution_status, row.explain["evaluator"]) == ("approved", "executing", "sure")
    assert lab.value("SELECT count(*) FROM m10_recovery.outbox") == 1
    assert lab.value("SELECT count(*) FROM m10_recovery.replay_log") == 1


def test_a_repeat_opens_nothing(lab: Lab) -> None:
    candidate = lab.open()
    lab.repeat(candidate, times=3)
    lab.database.connect("app").execute(
        "INSERT INTO recovery_candidates (failure_match_id, error_signature, suggestion) VALUES (%s, 's', 'x')"
        " ON CONFLICT (failure_match_id, error_signature) DO UPDATE SET occurrence_count = 9",
        [lab.match_ids[candidate]],
    )
    assert lab.provenance(candidate) == ["created"]
    assert lab.value("SELECT count(*) FROM m10_recovery.suggestion_input") == 1


def test_what_belongs_to_a_candidate_goes_with_it_and_an_action_may_be_missing(lab: Lab) -> None:
    candidate = lab.open()
    lab.evaluate(candidate, execute=True)
    rows = [
        ("suggestion_input", "suggestion_id", "c"),
        ("suggestion_provenance", "suggestion_id", "c"),
        ("execution", "candidate_id", "c"),
        ("suggestion_provenance", "action_id", "a"),
    ]
    for table, column, rule in rows:
        found = lab.value(
            "SELECT confdeltype FROM pg_constraint c"
            " JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = ANY (c.conkey)"
            " WHERE c.contype = 'f' AND c.conrelid = %s::regclass AND a.attname = %s",
            f"m10_recovery.{table}",
            column,
        )
        assert found == rule, (table, column)
    nullable = "SELECT NOT attnotnull FROM pg_attribute WHERE attrelid = %s::regclass AND attname = 'action_id'"
    assert lab.value(nullable, "m10_recovery.suggestion_provenance")


def test_the_view_counts_what_was_pending_at_its_refresh_and_lists_read_the_table(lab: Lab) -> None:
    first = lab.open()
    ops = lab.database.connect("ops")
    ops.execute("SELECT m10_recovery.refresh_mv_tracked()")
    second = lab.open()
    pending = "SELECT id, pending FROM m10_recovery.mv_top_pending"
    assert ops.execute(pending).fetchall() == [(first, 1)]
    page = candidates.page(lab.app, candidates.CandidateFilter(decision="pending"))
    assert [each.id for each in page.items] == [second, first]
    ops.execute("SELECT m10_recovery.refresh_mv_tracked()")
    assert sorted(ops.execute(pending).fetchall()) == [(first, 2), (second, 2)]


BEFORE = """
INSERT INTO recovery_candidates
    (failure_match_id, suggestion, error_code, decision, execution_status, closed_at, selected_action_id)
VALUES (gen_random_uuid(), '1', 'TIMEOUT', 'approved', 'executing', NULL, 1),
       (gen_random_uuid(), '2', 'TIMEOUT', 'approved', 'succeeded', now(), 1),
       (gen_random_uuid(), '3', 'TIMEOUT', 'approved', 'failed', now(), 404),
       (gen_random_uuid(), '4', 'TIMEOUT', 'approved', 'skipped', now(), 1),
       (gen_random_uuid(), '5', 'TIMEOUT', 'pending', NULL, NULL, 1);
INSERT INTO m10_recovery.outbox (aggregate_type, aggregate_id, event_type, payload, candidate_id, round)
SELECT 'recovery_candidate', id::text, 'webhook:x', '{}', id, round FROM recovery_candidates
WHERE execution_status = 'executing'
"""


def test_an_upgrade_keeps_what_was_carried_out_before(servers: EmbeddedServers, tmp_path: Path) -> None:
    addresses = servers.start()
    name = f"upgrade_{uuid4().hex[:8]}"
    create_database(addresses.postgres_superuser_url, name)
    for path in shipped("schema").glob("00[01]?_*.sql"):
        shutil.copy(path, tmp_path)
    migrate(addresses.postgres_url("postgres", name), tmp_path)
    with psycopg.connect(addresses.postgres_url("postgres", name), autocommit=True) as connection:
        connection.execute(BEFORE)
        migrate(addresses.postgres_url("postgres", name), shipped("schema"))
        found = connection.execute(
            """SELECT c.suggestion, x.status, x.outcome, x.counted, x.action_id, o.event_uuid IS NOT NULL
               FROM m10_recovery.execution x JOIN recovery_candidates c ON c.id = x.candidate_id
               LEFT JOIN m10_recovery.outbox o ON o.event_uuid = x.execution_id ORDER BY 1"""
        ).fetchall()
    assert found == [
        ("1", "executing", None, None, 1, True),
        ("2", "succeeded", "helped", "helped", 1, False),
        ("3", "failed", "did_not_help", "did_not_help", None, False),
    ]
