"""When an evaluation is due: the rule of the contract about generations and rounds, by state of the round."""

from datetime import timedelta
from typing import Any

import pytest
from schema_kit import ACTION, Lab, in_background

from m10actors.testing.database import MigratedDatabase

HOUR = timedelta(hours=1)
MOMENT = timedelta(seconds=5)


@pytest.fixture
def lab(database: MigratedDatabase) -> Lab:
    return Lab(database)


@pytest.fixture
def evaluated(lab: Lab) -> int:
    """An open candidate, seen once and evaluated."""
    candidate = lab.open()
    lab.evaluate(candidate)
    return candidate


def state(row: Any) -> tuple[int, int, str, str | None]:
    return row.generation, row.round, row.decision, row.execution_status


def test_a_new_candidate_is_due_in_its_first_generation(lab: Lab) -> None:
    row = lab.row(lab.open())
    assert (row.generation, row.evaluated_generation, row.evaluated_count) == (1, 0, 0)
    assert row.due_at is not None


def test_an_open_candidate_is_due_again_at_five_and_at_ten_and_not_between(lab: Lab, evaluated: int) -> None:
    due_at = []
    for count in range(2, 25):
        if lab.repeat(evaluated).became_due:
            due_at.append(count)
            lab.evaluate(evaluated)
    assert due_at == [5, 10]
    assert lab.row(evaluated).generation == 3


def test_a_batch_over_both_thresholds_is_one_generation(lab: Lab, evaluated: int) -> None:
    assert lab.repeat(evaluated, times=11).generation == 2


def test_a_candidate_that_is_due_is_not_made_due_again(lab: Lab) -> None:
    candidate = lab.open()
    assert lab.repeat(candidate, times=20).generation == 1


def test_a_raw_update_of_another_program_follows_the_rule(lab: Lab, evaluated: int) -> None:
    other = lab.database.connect("app")
    other.execute("UPDATE recovery_candidates SET occurrence_count = 4 WHERE id = %s", [evaluated])
    assert not lab.is_due(evaluated)
    other.execute("UPDATE recovery_candidates SET occurrence_count = occurrence_count + 1 WHERE id = %s", [evaluated])
    assert lab.is_due(evaluated)


def test_the_thresholds_are_those_of_the_settings(lab: Lab, evaluated: int) -> None:
    lab.sql.execute("""SELECT m10_recovery.configure('{"recheck_thresholds": [3]}')""")
    assert not lab.repeat(evaluated).became_due
    assert lab.repeat(evaluated).became_due
    lab.sql.execute("""SELECT m10_recovery.configure('{"recheck_thresholds": []}')""")
    lab.evaluate(evaluated)
    assert not lab.repeat(evaluated, times=100).became_due


def test_a_threshold_passed_during_an_evaluation_is_due_next(lab: Lab) -> None:
    candidate = lab.open()
    applied = lab.evaluate(candidate, meanwhile=lambda: lab.repeat(candidate, times=4))
    assert applied is not None
    assert applied.message_due == 2
    row = lab.row(candidate)
    assert (row.generation, row.evaluated_generation, row.evaluated_count) == (2, 1, 1)
    applied = lab.evaluate(candidate)
    assert applied is not None
    assert applied.message_due is None


def test_a_late_evaluation_changes_nothing(lab: Lab) -> None:
    candidate = lab.open()
    applied = lab.evaluate(candidate, action=None, execute=True, meanwhile=lambda: lab.evaluate(candidate))
    assert applied is None
    assert lab.row(candidate).selected_action_id is not None
    assert lab.provenance(candidate) == ["created", "rule_evaluated", "action_selected"]
    assert lab.value("SELECT count(*) FROM m10_recovery.replay_log") == 1
    assert lab.value("SELECT count(*) FROM m10_recovery.outbox") == 0


def test_an_open_round_is_evaluated_again_in_place_and_loses_a_verdict_not_yet_published(
    lab: Lab, evaluated: int
) -> None:
    lab.sql.execute(
        """UPDATE recovery_candidates
           SET decision = 'approved', approved_by_human = 'ann', approved_at = now(), review_note = 'go'"""
    )
    lab.repeat(evaluated, times=4)
    row = lab.row(evaluated)
    assert state(row) == (2, 1, "pending", None)
    assert (row.approved_by_human, row.approved_at, row.review_note) == (None, None, None)


def test_a_published_round_waits_and_the_end_of_its_execution_opens_the_next(lab: Lab, evaluated: int) -> None:
    assert lab.approve(evaluated).outcome == "approved"
    assert not lab.repeat(evaluated, times=5).became_due
    assert state(lab.row(evaluated)) == (1, 1, "approved", "executing")
    settled = lab.deliver()
    assert [(each.state, each.message_due) for each in settled] == [("done", 2)]
    assert state(lab.row(evaluated)) == (2, 2, "pending", None)
    assert sorted(lab.provenance(evaluated)) == [
        "action_selected", "approved", "created", "round_closed", "rule_evaluated", "success",
    ]  # fmt: skip


@pytest.mark.parametrize("end", ["rejected", "succeeded", "failed", "skipped", "rolled_back"])
def test_a_closed_round_is_reopened_by_a_repeat_only_after_an_hour(lab: Lab, evaluated: int, end: str) -> None:
    column = "decision" if end == "rejected" else "execution_status"
    lab.database.connect("app").execute(f"UPDATE recovery_candidates SET {column} = '{end}'")  # another program's
    assert lab.row(evaluated).closed_at is not None
    lab.age(evaluated, HOUR - MOMENT)
    assert not lab.repeat(evaluated).became_due
    lab.age(evaluated, 2 * MOMENT)
    assert lab.repeat(evaluated).became_due
    row = lab.row(evaluated)
    assert state(row) == (2, 2, "pending", None)
    assert (row.closed_at, row.executed_at, row.execution_result) == (None, None, None)


def test_a_closed_round_is_reopened_by_a_threshold_at_once(lab: Lab, evaluated: int) -> None:
    lab.reject(evaluated)
    assert not lab.repeat(evaluated, times=3).became_due
    assert lab.repeat(evaluated).became_due
    assert state(lab.row(evaluated)) == (2, 2, "pending", None)


def test_the_old_round_is_kept_in_provenance(lab: Lab, evaluated: int) -> None:
    lab.approve(evaluated)
    lab.deliver(result={"status": "ok"})
    lab.age(evaluated, 2 * HOUR)
    lab.repeat(evaluated)
    details = lab.value("SELECT details FROM m10_recovery.suggestion_provenance WHERE event_type = 'round_closed'")
    assert details.pop("closed_at")
    assert details == {
        "round": 1, "generation": 1, "decision": "approved", "execution_status": "succeeded",
        "execution_result": {"status": "ok"}, "occurrence_count": 2,
    }  # fmt: skip
    assert lab.provenance(evaluated)[2:] == ["action_selected", "approved", "success", "came_back", "round_closed"]


def test_reopening_after_is_a_setting(lab: Lab, evaluated: int) -> None:
    lab.sql.execute("""SELECT m10_recovery.configure('{"reopen_after": "1 minute"}')""")
    lab.reject(evaluated)
    lab.age(evaluated, timedelta(seconds=61))
    assert lab.repeat(evaluated).became_due


def test_only_a_repeat_reopens_a_round_that_was_closed_long_ago(lab: Lab, evaluated: int) -> None:
    lab.reject(evaluated)
    lab.age(evaluated, 2 * HOUR)
    lab.database.connect("app").execute("UPDATE recovery_candidates SET occurrence_count = occurrence_count")
    assert not lab.is_due(evaluated)


def test_a_dead_letter_closes_its_generation_and_no_repeat_raises_it_again(lab: Lab) -> None:
    candidate = lab.open()
    assert lab.bury(candidate)
    row = lab.row(candidate)
    assert (row.generation, row.evaluated_generation, row.evaluation_error) == (1, 1, "poison")
    assert not lab.repeat(candidate, times=100).became_due
    assert lab.evaluate(candidate) is None
    assert lab.provenance(candidate) == ["created", "evaluation_given_up"]


def test_after_a_replay_a_buried_candidate_follows_the_rule_again(lab: Lab) -> None:
    candidate = lab.open(times=7)
    lab.bury(candidate)
    lab.sql.execute(
        "UPDATE recovery_candidates SET generation = generation + 1, due_at = clock_timestamp()"
    )  # a replay
    assert lab.evaluate(candidate) is not None
    assert lab.row(candidate).evaluation_error is None
    assert not lab.repeat(candidate, times=2).became_due
    assert lab.repeat(candidate).became_due


def test_what_was_evaluated_or_is_in_other_hands_is_not_buried(lab: Lab, evaluated: int) -> None:
    assert lab.bury(evaluated) == set()
    other = lab.open()
    lab.sql.execute("SELECT m10_recovery.begin_attempts('somebody', ARRAY[%s::bigint], '{1}', '1 min')", [other])
    assert lab.bury(other) == set()
    assert lab.is_due(other)
    assert lab.value("SELECT count(*) FROM m10_recovery.dead_letter_archive") == 0


def test_an_evaluation_that_commits_while_a_burial_waits_wins(lab: Lab) -> None:
    """No dead letter for what was evaluated: the burial judges the row as it stands once it has it."""
    candidate = lab.open()
    evaluating = lab.database.connect("app")
    with evaluating.transaction():
        evaluating.execute(
            """SELECT m10_recovery.apply_evaluations('w', ARRAY[%s::bigint], '{1}', '{1}', ARRAY[%s], '{0.5}', '{x}',
               ARRAY['{}'], ARRAY['[]'], ARRAY['{}'], '{false}', '{1}', '{}', '{}', '{}', '{}')""",
            [candidate, ACTION],
        )
        burial = in_background(lambda: lab.bury(candidate, generation=1))
        lab.until_somebody_waits()
    assert burial.result(10) == set()
    assert lab.row(candidate).evaluation_error is None
    assert lab.value("SELECT count(*) FROM m10_recovery.dead_letter_archive") == 0


def test_an_evaluation_leaves_the_verdict_and_execution_of_a_published_round_alone(lab: Lab, evaluated: int) -> None:
    lab.repeat(evaluated, times=4)
    other = lab.database.connect("app")
    other.execute("UPDATE recovery_candidates SET decision = 'approved', execution_status = 'executing'")
    assert lab.evaluate(evaluated, execute=True) is not None
    assert state(lab.row(evaluated)) == (2, 1, "approved", "executing")
    assert lab.value("SELECT count(*) FROM m10_recovery.outbox") == 0


def test_an_evaluation_of_a_round_closed_meanwhile_leaves_it_closed(lab: Lab) -> None:
    candidate = lab.open()
    lab.database.connect("app").execute("UPDATE recovery_candidates SET decision = 'rejected'")
    closed_at = lab.row(candidate).closed_at
    assert lab.evaluate(candidate, execute=True) is not None
    row = lab.row(candidate)
    assert state(row) == (1, 1, "rejected", None)
    assert row.closed_at == closed_at
