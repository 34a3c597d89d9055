"""What is decided, by a person or by itself, and what it publishes in the same transaction."""

import psycopg
import pytest
from schema_kit import ACTION, ROUTES, Lab, at_once, in_background, refused

from m10actors.postgres import verdicts
from m10actors.testing.database import MigratedDatabase


@pytest.fixture
def lab(database: MigratedDatabase) -> Lab:
    return Lab(database)


@pytest.fixture
def evaluated(lab: Lab) -> int:
    candidate = lab.open()
    lab.evaluate(candidate)
    return candidate


def events(lab: Lab) -> int:
    return int(lab.value("SELECT count(*) FROM m10_recovery.outbox"))


def test_an_approval_publishes_the_action_in_its_transaction(lab: Lab, evaluated: int) -> None:
    verdict = lab.approve(evaluated, generation=1)
    assert (verdict.outcome, verdict.decision, verdict.execution_status) == ("approved", "approved", "executing")
    row = lab.row(evaluated)
    assert (row.approved_by_human, row.review_note, row.closed_at) == ("ann", "go", None)
    event = lab.event(verdict.event_id or 0)
    assert (event.aggregate_type, event.aggregate_id) == ("recovery_candidate", str(evaluated))
    assert (event.event_type, event.destination) == ("webhook:recovery", "receiver")
    assert (event.candidate_id, event.round) == (evaluated, 1)


def test_the_body_of_an_event_tells_everything_about_its_candidate(lab: Lab, evaluated: int) -> None:
    event = lab.event(lab.approve(evaluated).event_id or 0)
    body = event.payload["data"]
    assert body.pop("decided_at")
    failure = body.pop("failure")
    assert body.pop("explain")
    assert body == {
        "version": 1,
        "event_id": str(event.event_uuid),
        "execution_id": str(event.event_uuid),
        "candidate_id": evaluated,
        "generation": 1,
        "action": ACTION,
        "template": ROUTES[ACTION]["template"],
        "confidence": 0.85,
        "decided_by": "ann",
    }
    assert failure.keys() == {
        "match_id", "signature", "code", "message", "source", "fingerprint", "occurrences", "first_seen", "last_seen",
    }  # fmt: skip
    assert (failure["code"], failure["message"], failure["occurrences"]) == ("TIMEOUT", "too slow", 1)


def test_a_rejection_closes_the_round_and_publishes_nothing(lab: Lab, evaluated: int) -> None:
    assert lab.reject(evaluated).outcome == "rejected"
    row = lab.row(evaluated)
    assert (row.decision, row.execution_status, row.closed_at is None) == ("rejected", None, False)
    assert events(lab) == 0
    assert lab.provenance(evaluated)[-1] == "rejected"


def test_what_cannot_be_decided_says_why_and_changes_nothing(lab: Lab, evaluated: int) -> None:
    unsure, due, unmapped = lab.open(), lab.open(), lab.open()
    lab.evaluate(unsure, action=None)
    lab.evaluate(unmapped, action="notify_ops")
    outcomes = [
        lab.approve(404).outcome,
        lab.approve(due).outcome,
        lab.reject(due).outcome,
        lab.approve(evaluated, generation=7).outcome,
        lab.approve(unsure).outcome,
        lab.approve(unmapped).outcome,
    ]
    assert outcomes == [
        "not_found", "evaluation_due", "evaluation_due", "generation_differs", "no_action", "action_has_no_destination",
    ]  # fmt: skip
    assert events(lab) == 0
    assert (
        lab.value("SELECT count(*) FROM recovery_candidates WHERE decision <> 'pending' OR closed_at IS NOT NULL") == 0
    )


def test_a_decided_round_is_not_decided_again(lab: Lab, evaluated: int) -> None:
    lab.approve(evaluated)
    again = lab.reject(evaluated)
    assert (again.outcome, again.decision, again.execution_status) == ("already_decided", "approved", "executing")
    lab.deliver()
    assert lab.approve(evaluated).outcome == "already_decided"
    assert events(lab) == 1


def test_of_many_approvals_at_once_one_publishes(lab: Lab, evaluated: int) -> None:
    pool = lab.database.pool("app", size=8)
    chosen = [verdicts.Choice(evaluated, 1)]
    tasks = [lambda: verdicts.decide(pool, chosen, "approved", verdicts.Person("ann"), None, ROUTES)[0].outcome] * 8
    assert sorted(at_once(tasks)) == ["already_decided"] * 7 + ["approved"]
    assert events(lab) == 1


def test_an_approval_that_waits_for_a_repeat_over_a_threshold_finds_the_evaluation_due(
    lab: Lab, evaluated: int
) -> None:
    other = lab.database.connect("app")
    with other.transaction():
        other.execute("UPDATE recovery_candidates SET occurrence_count = 5 WHERE id = %s", [evaluated])
        approval = in_background(lambda: lab.approve(evaluated, generation=1))
        lab.until_somebody_waits()
    assert approval.result(10).outcome == "evaluation_due"
    assert events(lab) == 0


def test_another_programs_pending_execution_status_is_no_decision(lab: Lab, evaluated: int) -> None:
    lab.database.connect("app").execute("UPDATE recovery_candidates SET execution_status = 'pending'")
    assert lab.approve(evaluated).outcome == "approved"


def test_an_unknown_verdict_is_refused(lab: Lab, evaluated: int) -> None:
    app = lab.database.connect("app")
    decide = "SELECT m10_recovery.decide_candidates(ARRAY[%s], '{1}', %s, 'ann', 'ann', NULL, '{}', '1 hour', true)"
    for verdict in ("maybe", None):
        assert refused(app, decide, evaluated, verdict) == psycopg.errors.InvalidParameterValue.sqlstate
    assert lab.row(evaluated).decision == "pending"


def test_an_evaluation_that_executes_publishes_in_its_transaction(lab: Lab) -> None:
    candidate = lab.open()
    applied = lab.evaluate(candidate, execute=True)
    assert applied is not None
    assert (applied.decision, applied.message_due) == ("approved", None)
    row = lab.row(candidate)
    assert (row.decision, row.approved_by_human, row.execution_status) == ("approved", None, "executing")
    assert row.last_executed_at is not None
    assert lab.event(applied.event_id or 0).payload["data"]["decided_by"] == "rules"
    assert lab.provenance(candidate) == ["created", "rule_evaluated", "action_selected", "executed"]


@pytest.mark.parametrize("action", ["notify_ops", "no_such_action", None])
def test_an_evaluation_executes_only_what_is_known_and_has_a_route(lab: Lab, action: str | None) -> None:
    candidate = lab.open()
    applied = lab.evaluate(candidate, action=action, execute=True)
    assert applied is not None
    assert (applied.decision, applied.event_id) == ("pending", None)
    assert lab.row(candidate).execution_status is None
    assert events(lab) == 0


def test_an_evaluation_that_rolls_back_leaves_nothing(lab: Lab) -> None:
    candidate = lab.open()
    lab.sql.execute("ALTER TABLE m10_recovery.outbox ADD CHECK (event_type <> 'webhook:recovery')")
    with pytest.raises(Exception, match="23514"):
        lab.evaluate(candidate, execute=True)
    assert lab.is_due(candidate)
    assert lab.provenance(candidate) == ["created"]
    assert lab.value("SELECT count(*) FROM m10_recovery.replay_log") == 0


def test_a_later_event_of_an_earlier_round_does_not_end_the_later_execution(lab: Lab, evaluated: int) -> None:
    """An operator resets a processed event, and it is delivered again while the next round is executing."""
    first = lab.approve(evaluated).event_id
    lab.deliver()
    lab.repeat(evaluated, times=4)
    lab.evaluate(evaluated)
    lab.approve(evaluated)
    lab.sql.execute("UPDATE m10_recovery.outbox SET processed_at = NULL, processed_by = NULL WHERE id = %s", [first])
    assert [each.event_id for each in lab.deliver("dead", error="late")] == [first]
    row = lab.row(evaluated)
    assert (row.round, row.execution_status, row.execution_result) == (2, "executing", None)
