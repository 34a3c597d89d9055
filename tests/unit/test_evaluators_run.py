"""A batch on its way through a chain: who is asked about what, and whose word stands."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from m10actors.evaluation import Rules
from m10actors.evaluators import Answer, Candidate, Facts, History, Later, Proposal
from m10actors.evaluators.chain import BY_RULES, Chain, Decided, Failed, Judge, Outcome, PutOff, Step, Task, Waits
from m10actors.evaluators.run import run, run_task
from m10actors.recovery.actions import SEEDED_ACTIONS
from m10actors.recovery.gates import Policy, Reason
from m10actors.testing.evaluators import Calls, Script, abstain, propose

JUDGE = Rules(Policy(), {}).judge()
RULES = BY_RULES.steps[0]


class By:
    """An evaluator that answers by a function."""

    def __init__(self, script: Script) -> None:
        self._script = script

    def evaluate(self, batch: Sequence[Facts]) -> Any:
        return self._script(batch)


def facts(candidate_id: int, code: str = "ODD") -> Facts:
    candidate = Candidate(candidate_id, 1, code, "", "", "", 1, datetime(2026, 1, 1, tzinfo=UTC))
    return Facts(candidate, History(), SEEDED_ACTIONS)


def through(*steps: Step, batch: Sequence[Facts] = (facts(1),), judge: Judge = JUDGE) -> dict[int, Outcome]:
    return run(Chain(steps), batch, judge, lambda: None)


def step(script: Script, name: str = "mine", **others: Any) -> Step:
    return Step(name, By(script), **others)


def decided(outcome: Outcome) -> tuple[str, str | None, float, Reason]:
    """(evaluator, action, confidence, reason)."""
    assert isinstance(outcome, Decided)
    decision = outcome.decision
    return decision.evaluator, decision.action, decision.confidence, decision.reason


def test_the_rules_decide_what_they_know_and_the_next_is_asked_for_the_rest() -> None:
    mine = Calls(propose("skip_task", 0.6, because="it always does", details={"a": 1}))
    result = through(RULES, step(mine), batch=[facts(1, "TIMEOUT"), facts(2)])
    assert mine.batches == [[2]]
    assert decided(result[1]) == ("rules", "retry_exponential", 0.85, Reason.AUTO_EXECUTE_OFF)
    assert decided(result[2]) == ("mine", "skip_task", 0.6, Reason.NEEDS_APPROVAL)


def test_a_decision_says_who_proposed_it_why_and_with_what() -> None:
    outcome = through(step(propose("skip_task", 0.6, because="it always does", details={"a": 1})))[1]
    assert isinstance(outcome, Decided)
    record = outcome.decision.record()
    assert (record["e"], record["x"]) == ("mine", {"a": 1})
    assert outcome.decision.rules_evaluated() == [
        {"rule": "mine", "action": "skip_task", "score": 0.6, "adjustment": 0.0, "because": "it always does"}
    ]


def test_the_gates_apply_to_every_proposal() -> None:
    policy = Policy(auto_execute=True, destinations_for=frozenset(SEEDED_ACTIONS))
    judge = Rules(policy, {}).judge()

    def reason(action: str, confidence: float) -> Reason:
        return decided(through(step(propose(action, confidence)), judge=judge)[1])[3]

    assert reason("retry_exponential", 0.8) is Reason.EXECUTES
    assert reason("retry_exponential", 0.79) is Reason.BELOW_AUTO_CONFIDENCE
    assert reason("rollback_state", 1.0) is Reason.NEEDS_APPROVAL
    assert reason("no_such_action", 1.0) is Reason.ACTION_NOT_ACTIVE


def test_a_proposal_that_is_too_unsure_leaves_it_to_the_next() -> None:
    unsure, sure = step(propose("skip_task", 0.2), "unsure"), step(propose("notify_ops", 0.7), "sure")
    assert decided(through(unsure, sure)[1])[:2] == ("sure", "notify_ops")


def test_where_nobody_is_sure_the_first_word_stands_and_a_person_decides() -> None:
    first, second = step(propose("skip_task", 0.2), "first"), step(propose("notify_ops", 0.1), "second")
    assert decided(through(RULES, first, second)[1]) == ("first", None, 0.2, Reason.BELOW_MIN_CONFIDENCE)
    assert decided(through(RULES, step(abstain))[1]) == ("rules", None, 0.0, Reason.NO_RULE_MATCHED)
    assert decided(through(step(abstain))[1])[3] is Reason.NO_RULE_MATCHED


def test_a_leased_one_is_waited_for_and_what_comes_after_it_is_not_asked() -> None:
    last = Calls(propose())
    result = through(RULES, step(propose(), "slow", leased=True), step(last), batch=[facts(1), facts(2, "TIMEOUT")])
    assert result[1] == Waits("slow")
    assert isinstance(result[2], Decided)
    assert last.batches == []


def test_calls_are_of_the_size_that_is_wanted() -> None:
    mine = Calls(propose())
    through(step(mine, batch_size=2), batch=[facts(number) for number in range(1, 6)])
    assert mine.batches == [[1, 2], [3, 4], [5]]


def test_an_exception_costs_the_candidate_that_causes_it_and_no_other() -> None:
    def picky(batch: Sequence[Facts]) -> list[Answer]:
        if any(each.candidate.id == 2 for each in batch):
            raise LookupError("secret")
        return list(propose()(batch))

    result = through(step(picky), batch=[facts(1), facts(2), facts(3)])
    assert result[2] == Failed("evaluator_failed: mine: LookupError")
    assert [decided(result[number])[0] for number in (1, 3)] == ["mine", "mine"]


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, asyncio.CancelledError, MemoryError])
def test_whatever_it_raises_ends_neither_the_worker_nor_the_process(error: type[BaseException]) -> None:
    """T101."""

    def leave(batch: Sequence[Facts]) -> Any:
        raise error

    assert through(step(leave)) == {1: Failed(f"evaluator_failed: mine: {error.__name__}")}


def test_an_answer_that_is_no_good_says_so_in_the_reason() -> None:
    result = through(step(propose(confidence=7)))
    assert result[1] == Failed("evaluator_failed: mine: confidence: expected a number from 0 to 1, got 7")


def test_a_fast_one_that_abstains_where_it_fails_leaves_it_to_the_next() -> None:
    result = through(step(propose(confidence=7), "broken", abstains=True), step(propose(), "next"))
    assert decided(result[1])[0] == "next"


def task(*steps: Step, passed: bool = False, batch: Sequence[Facts] = (facts(1),)) -> dict[int, Outcome]:
    return run_task(Task(Chain(steps), "slow", batch, JUDGE, passed), lambda: None)


def test_a_worker_asks_the_leased_one_and_then_those_after_it() -> None:
    before, after = Calls(propose()), Calls(propose("notify_ops"))

    def half(batch: Sequence[Facts]) -> list[Answer]:
        return [Proposal(1, "skip_task", 0.9)]

    slow = step(half, "slow", leased=True)
    result = task(RULES, step(before, "before"), slow, step(after, "after"), batch=[facts(1), facts(2)])
    assert [decided(result[number])[0] for number in (1, 2)] == ["slow", "after"]
    assert (before.batches, after.batches) == ([], [[2]])


def test_a_second_leased_one_is_waited_for_in_turn() -> None:
    result = task(RULES, step(abstain, "slow", leased=True), step(propose(), "slower", leased=True))
    assert result == {1: Waits("slower")}


def test_one_that_has_failed_for_good_is_passed() -> None:
    slow = Calls(propose())
    result = task(step(slow, "slow", leased=True), step(propose(), "next"), passed=True)
    assert decided(result[1])[0] == "next"
    assert slow.batches == []


def test_a_leased_one_may_put_off_its_answer() -> None:
    later = timedelta(minutes=5)
    slow = step(lambda batch: [Later(1, later)], "slow", leased=True)
    assert task(slow) == {1: PutOff(later)}


def test_a_leased_one_that_raises_is_asked_about_each_alone_the_next_time_and_not_now() -> None:
    def broken(batch: Sequence[Facts]) -> list[Answer]:
        raise LookupError

    slow = Calls(broken)
    result = task(step(slow, "slow", leased=True, abstains=True), batch=[facts(1), facts(2)])
    assert set(result.values()) == {Failed("evaluator_failed: slow: LookupError")}
    assert slow.batches == [[1, 2]]


def test_facts_cannot_be_changed() -> None:
    def meddling(batch: Sequence[Facts]) -> list[Answer]:
        batch[0].candidate.occurrence_count = 0  # type: ignore[misc]
        return []

    assert through(step(meddling))[1] == Failed("evaluator_failed: mine: AttributeError")
    with pytest.raises(TypeError):
        facts(1).actions["x"] = SEEDED_ACTIONS["skip_task"]  # type: ignore[index]
