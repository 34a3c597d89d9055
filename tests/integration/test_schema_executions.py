"""Executions: how they end, what is told of them, and what follows when one failed."""

from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import pytest
from schema_kit import ACTION, ROUTES, Lab, at_once

from m10actors.postgres import events, executions
from m10actors.postgres.executions import Resolved, Told
from m10actors.postgres.outbox import Completion
from m10actors.testing.database import MigratedDatabase

LATER = {"action": "fallback_model", "event": "webhook:recovery", "destination": "receiver", "template": {"model": "b"}}
LAST = {"action": "manual_intervention", "event": "webhook:recovery", "destination": "receiver", "template": {}}
CHAIN = {ACTION: ROUTES[ACTION] | {"follows": [LATER, LAST]}}
FREE = '{"autonomy": {"auto_execute": true, "limits": {}}}'
HOURS = timedelta(hours=2)


@pytest.fixture
def lab(database: MigratedDatabase) -> Lab:
    lab = Lab(database)
    lab.sql.execute("SELECT m10_recovery.configure(%s)", [FREE])
    return lab


def executing(lab: Lab, routes: Any = ROUTES, **answer: Any) -> tuple[int, UUID]:
    """A candidate whose action is being carried out: its receiver has answered that it runs. And the execution."""
    candidate = lab.open()
    applied = lab.evaluate(candidate, execute=True, routes=routes)
    assert applied is not None
    lab.deliver(**(answer or {"outcome": "running"}))
    return candidate, lab.event(applied.event_id or 0).event_uuid


def told(lab: Lab, execution: UUID, result: Any, **detail: object) -> Told:
    return executions.report(lab.app, execution, result, detail or None, "receiver")


def outcomes(lab: Lab) -> list[str | None]:
    return [row[0] for row in lab.sql.execute("SELECT outcome FROM m10_recovery.execution ORDER BY begun_at")]


def rate(lab: Lab, action: str = ACTION) -> tuple[int, int, int, float]:
    """Executions of the action that ended, that helped, of which nobody knows; and its success rate."""
    query = (
        "SELECT total_applications, successful_applications, unknown_applications, success_rate"
        " FROM m10_recovery.suggestion_action WHERE action_code = %s"
    )
    found = lab.sql.execute(query, [action]).fetchone()
    assert found is not None
    return tuple(found)


def long_ago(lab: Lab) -> None:
    """As if everything had been begun and delivered hours before."""
    lab.sql.execute("UPDATE m10_recovery.execution SET begun_at = begun_at - %s", [HOURS])
    lab.sql.execute("UPDATE m10_recovery.outbox SET processed_at = processed_at - %s", [HOURS])


def resolve(lab: Lab) -> Resolved:
    return executions.resolve(lab.database.pool("ops", size=1), "job", 100)


# Results


@pytest.mark.parametrize(
    ("result", "step", "helped"),
    [("succeeded", "success", 1), ("failed", "failure", 0), ("rolled_back", "rolled_back", 0)],
)
def test_a_result_ends_the_execution_and_feeds_the_rate_of_its_action(
    lab: Lab, result: str, step: str, helped: int
) -> None:
    candidate, execution = executing(lab)
    found = told(lab, execution, result, took="3 s")
    assert (found.outcome, found.message_due, found.next_event_type) == ("ended", None, None)
    row = lab.row(candidate)
    assert (row.execution_status, row.execution_result, row.closed_at is None) == (result, {"took": "3 s"}, False)
    assert lab.provenance(candidate) == ["created", "rule_evaluated", "action_selected", "executed", step]
    assert outcomes(lab) == ["helped" if helped else "did_not_help"]
    assert rate(lab) == (1, helped, 0, helped)


def test_the_same_result_again_changes_nothing_and_another_one_is_in_conflict(lab: Lab) -> None:
    candidate, execution = executing(lab)
    first = told(lab, execution, "failed", why="disk full")
    again, other = told(lab, execution, "failed"), told(lab, execution, "succeeded")
    assert (again.outcome, other.outcome) == ("repeated", "conflict")
    assert first.execution == again.execution == other.execution
    assert lab.row(candidate).execution_status == "failed"
    assert rate(lab) == (1, 0, 0, 0)
    assert told(lab, uuid4(), "failed") == Told("not_found", None, None, None)


def test_of_many_results_at_once_one_counts(lab: Lab) -> None:
    _, execution = executing(lab)
    pool = lab.database.pool("app", size=8)
    results: list[Any] = ["succeeded", "failed"] * 4
    found = at_once([partial(executions.report, pool, execution, result, None, "r") for result in results])
    assert sorted(told.outcome for told in found) == ["conflict"] * 4 + ["ended"] + ["repeated"] * 3
    assert rate(lab)[0] == 1


def test_an_accepted_call_is_no_success_in_the_history_until_its_result_is_told(lab: Lab) -> None:
    candidate, execution = executing(lab, outcome="delivered")
    assert lab.row(candidate).execution_status == "succeeded"
    assert (outcomes(lab), rate(lab)) == (["unknown"], (1, 0, 1, 0))
    assert told(lab, execution, "succeeded").outcome == "late"
    assert (outcomes(lab), rate(lab)) == (["helped"], (1, 1, 0, 1))


def test_a_late_result_changes_the_history_and_not_the_round(lab: Lab) -> None:
    candidate, execution = executing(lab, outcome="delivered")
    before = lab.row(candidate)
    assert told(lab, execution, "failed", why="it did not start").outcome == "late"
    assert lab.row(candidate) == before
    assert lab.provenance(candidate)[-2:] == ["success", "failure"]
    assert (outcomes(lab), rate(lab)) == (["did_not_help"], (1, 0, 0, 0))


def test_a_result_that_comes_before_the_answer_stands(lab: Lab) -> None:
    candidate = lab.open()
    applied = lab.evaluate(candidate, execute=True)
    assert applied is not None
    execution = lab.event(applied.event_id or 0).event_uuid
    assert told(lab, execution, "failed").outcome == "ended"
    [settled] = lab.deliver("delivered")
    assert (settled.state, settled.execution) == ("done", None)
    assert lab.row(candidate).execution_status == "failed"
    assert lab.provenance(candidate)[-1] == "failure"


# What comes back


def test_a_failure_that_comes_back_within_the_window_says_that_the_action_did_not_help(lab: Lab) -> None:
    candidate, execution = executing(lab)
    told(lab, execution, "succeeded")
    assert (outcomes(lab), rate(lab)) == (["helped"], (1, 1, 0, 1))
    lab.repeat(candidate)
    assert outcomes(lab) == ["did_not_help"]
    assert resolve(lab).came_back == 1
    assert rate(lab) == (1, 0, 0, 0)
    assert lab.provenance(candidate)[-1] == "came_back"
    lab.repeat(candidate)
    assert lab.provenance(candidate).count("came_back") == 1
    assert resolve(lab) == Resolved(0, 0, 0)


def test_a_failure_that_comes_back_after_the_window_says_nothing(lab: Lab) -> None:
    candidate, execution = executing(lab)
    told(lab, execution, "succeeded")
    lab.sql.execute("UPDATE recovery_candidates SET verify_until = clock_timestamp()")
    lab.repeat(candidate)
    assert outcomes(lab) == ["helped"]


def test_silence_after_an_accepted_call_stays_unknown_and_a_repeat_makes_it_no_help(lab: Lab) -> None:
    silent, _ = executing(lab, outcome="delivered")
    back, _ = executing(lab, outcome="delivered")
    lab.database.connect("app").execute(
        "UPDATE recovery_candidates SET occurrence_count = occurrence_count + 1 WHERE id = %s", [back]
    )
    assert outcomes(lab) == ["unknown", "did_not_help"]
    assert silent != back


# Those that nobody ends


def test_an_execution_of_which_nothing_is_heard_ends_as_failed_and_counts_as_unknown(lab: Lab) -> None:
    candidate, execution = executing(lab)
    assert resolve(lab).unknown == 0
    long_ago(lab)
    assert resolve(lab).unknown == 1
    row = lab.row(candidate)
    assert (row.execution_status, row.execution_result) == ("failed", {"error": "no_result"})
    assert (outcomes(lab), rate(lab)) == (["unknown"], (1, 0, 1, 0))
    assert told(lab, execution, "succeeded").outcome == "late"
    assert (outcomes(lab), lab.row(candidate).execution_status) == (["helped"], "failed")


def test_an_execution_whose_event_is_still_open_is_not_given_up(lab: Lab) -> None:
    candidate = lab.open()
    lab.evaluate(candidate, execute=True)
    long_ago(lab)
    assert resolve(lab).unknown == 0
    lab.sql.execute("DELETE FROM m10_recovery.outbox")  # lost, as by a hand or a restored table
    assert resolve(lab).unknown == 1
    assert lab.row(candidate).execution_status == "failed"


def test_what_another_program_set_executing_is_found_and_given_up_in_its_time(lab: Lab) -> None:
    candidate = lab.open()
    lab.evaluate(candidate)
    lab.database.connect("app").execute(
        "UPDATE recovery_candidates SET decision = 'approved', execution_status = 'executing'"
    )
    assert resolve(lab) == Resolved(adopted=1, unknown=0, came_back=0)
    long_ago(lab)
    assert resolve(lab) == Resolved(adopted=0, unknown=1, came_back=0)
    assert lab.row(candidate).execution_status == "failed"


def test_a_word_of_an_operator_ends_the_execution_and_is_kept_as_one(lab: Lab) -> None:
    candidate, execution = executing(lab)
    ops = lab.database.connect("ops")
    ops.execute("UPDATE recovery_candidates SET execution_status = 'succeeded' WHERE id = %s", [candidate])
    assert lab.provenance(candidate)[-1] == "manual_override"
    assert (outcomes(lab), rate(lab)) == (["helped"], (1, 1, 0, 1))
    assert told(lab, execution, "failed").outcome == "conflict"


def test_an_event_that_is_sent_again_opens_its_execution_again_and_is_counted_once(lab: Lab) -> None:
    candidate, execution = executing(lab, outcome="dead", error="http_400")
    assert (outcomes(lab), rate(lab)) == (["did_not_help"], (1, 0, 0, 0))
    event = lab.value("SELECT id FROM m10_recovery.outbox WHERE event_uuid = %s", execution)
    sent = events.resend(lab.database.pool("ops", size=1), event, "local:op", None)
    assert (sent.outcome, sent.execution_status) == ("resent", "executing")
    assert (outcomes(lab), rate(lab)) == ([None], (0, 0, 0, 0))
    lab.deliver("running")
    told(lab, execution, "succeeded")
    assert (lab.row(candidate).execution_status, rate(lab)) == ("succeeded", (1, 1, 0, 1))


# What follows a failure


def chain(lab: Lab) -> list[tuple[int, str, str]]:
    """(link, action, status) of each execution, in their order."""
    query = (
        "SELECT x.link, a.action_code, x.status FROM m10_recovery.execution x"
        " JOIN m10_recovery.suggestion_action a ON a.id = x.action_id ORDER BY x.link"
    )
    return [tuple(row) for row in lab.sql.execute(query)]


@pytest.mark.parametrize("by", ["result", "dead letter"])
def test_the_next_action_is_carried_out_in_the_transaction_in_which_the_one_before_failed(lab: Lab, by: str) -> None:
    if by == "result":
        candidate, execution = executing(lab, CHAIN)
        assert told(lab, execution, "failed").next_event_type == "webhook:recovery"
    else:
        candidate, execution = executing(lab, CHAIN, outcome="dead", error="http_400")
    row = lab.row(candidate)
    assert (row.decision, row.execution_status, row.approved_by_human, row.closed_at) == (
        "approved", "executing", None, None,
    )  # fmt: skip
    assert chain(lab) == [(1, ACTION, "failed"), (2, "fallback_model", "executing")]
    [event] = lab.claim(lab.lead())
    assert event.event_uuid != execution
    assert '"template": {"model": "b"}' in event.payload
    assert lab.provenance(candidate)[-3:] == ["failure", "action_selected", "executed"]


def test_a_next_action_that_needs_approval_waits_for_a_person_who_has_seen_it(lab: Lab) -> None:
    candidate, first = executing(lab, CHAIN)
    told(lab, first, "failed")
    [event] = lab.claim(epoch := lab.lead())
    lab.complete(epoch, Completion(event.id, "running"))
    told(lab, event.event_uuid, "failed")
    row = lab.row(candidate)
    assert (row.decision, row.execution_status, row.closed_at, row.round) == ("pending", None, None, 1)
    assert row.explain["reason"] == "needs_approval"
    assert lab.approve(candidate, generation=1).outcome == "generation_differs"
    verdict = lab.decide(candidate, "rejected", "ann", None, row.evaluated_generation)
    assert verdict.outcome == "rejected"
    assert chain(lab) == [(1, ACTION, "failed"), (2, "fallback_model", "failed")]


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ('{"autonomy": {"auto_execute": false}}', "auto_execute_off"),
        ('{"autonomy": {"auto_execute": true, "limits": {"action": 0}}}', "capped"),
        ('{"attempt_budget": 1}', "budget_spent"),
        (
            '{"autonomy": {"auto_execute": true, "zone": "Asia/Tokyo",'
            ' "quiet": [{"days": [0, 1, 2, 3, 4, 5, 6], "begin": 0, "end": 1440}]}}',
            "quiet_hours",
        ),
    ],
)
def test_a_next_action_passes_the_same_gates_as_the_first(lab: Lab, settings: str, reason: str) -> None:
    candidate, execution = executing(lab, CHAIN)
    lab.sql.execute("SELECT m10_recovery.configure(%s)", [settings])
    told(lab, execution, "failed")
    row = lab.row(candidate)
    assert (row.decision, row.execution_status, row.explain["reason"]) == ("pending", None, reason)
    assert row.explain["action"] == "fallback_model"
    assert lab.value("SELECT count(*) FROM m10_recovery.outbox") == 1


def test_what_failed_without_anybody_saying_so_is_followed_by_nothing(lab: Lab) -> None:
    candidate, _ = executing(lab, CHAIN)
    long_ago(lab)
    assert resolve(lab).unknown == 1
    assert (lab.row(candidate).execution_status, lab.row(candidate).closed_at is None) == ("failed", False)


def test_a_round_spends_its_budget_and_then_waits_for_a_person(lab: Lab) -> None:
    """A threshold passes while the action fails, and the rules want it carried out again."""
    lab.sql.execute("""SELECT m10_recovery.configure('{"attempt_budget": 1, "autonomy": {"auto_execute": false}}')""")
    candidate, execution = executing(lab, CHAIN)
    lab.repeat(candidate, times=4)
    told(lab, execution, "failed")
    applied = lab.evaluate(candidate, execute=True)
    assert applied is not None
    assert (applied.event_id, applied.refused) == (None, "budget_spent: 1 of 1 attempts of this round were made")
    row = lab.row(candidate)
    assert (row.decision, row.round, row.explain["reason"]) == ("pending", 1, "budget_spent")


def test_a_later_action_of_the_round_makes_the_earlier_event_history(lab: Lab) -> None:
    _, execution = executing(lab, CHAIN, outcome="dead", error="http_400")
    event = lab.value("SELECT id FROM m10_recovery.outbox WHERE event_uuid = %s", execution)
    assert events.resend(lab.database.pool("ops", size=1), event, "local:op", None).outcome == "newer_round"
