"""What came back from an evaluator: whatever is no good costs its own candidate only."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from msgspec import structs

from m10actors.evaluators import Answer, Candidate, Facts, History, Later, Proposal
from m10actors.evaluators.answers import Answers, InvalidAnswer, ask
from m10actors.recovery.actions import SEEDED_ACTIONS
from m10actors.testing.evaluators import Scripted, scripted

GOOD = Proposal(2, "retry_exponential", 0.5, "seen before", {"model": "small"})


def facts(candidate_id: int) -> Facts:
    candidate = Candidate(candidate_id, 1, "ODD", "", "", "", 1, datetime(2026, 1, 1, tzinfo=UTC))
    return Facts(candidate, History(), SEEDED_ACTIONS)


BATCH = [facts(1), facts(2), facts(3)]


def answers(given: Any, *, may_wait: bool = False) -> Answers:
    with scripted(it=lambda _: given):
        return ask(Scripted("it"), BATCH, may_wait=may_wait)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"action": ""}, "action: expected the code of an action, got ''"),
        ({"action": "a\nb"}, "action: expected"),
        ({"action": None}, "action: expected the code of an action, got None"),
        ({"action": "x" * 101}, "action: expected"),
        ({"confidence": 7}, "confidence: expected a number from 0 to 1, got 7"),
        ({"confidence": -0.01}, "confidence: expected a number from 0 to 1, got -0.01"),
        ({"confidence": float("nan")}, "confidence: expected a number from 0 to 1, got nan"),
        ({"confidence": float("inf")}, "got inf"),
        ({"confidence": 10**5000}, "got int"),
        ({"confidence": True}, "got True"),
        ({"confidence": "0.5"}, "got '0.5'"),
        ({"because": None}, "because: expected a text of at most 1000 characters, got None"),
        ({"because": "x" * 1001}, "because: expected"),
        ({"because": "a\0b"}, "because: expected"),
        ({"because": "\ud800"}, "because: expected"),
        ({"details": []}, "details: expected a JSON object, got list"),
        ({"details": {"at": datetime(2026, 1, 1, tzinfo=UTC)}}, "details: expected a JSON object, got TypeError"),
        ({"details": {"x": float("nan")}}, "details: expected a JSON object, got ValueError"),
        ({"details": {"x": "a\0b"}}, "details: expected texts of Unicode without NUL"),
        ({"details": {"x": "\ud800"}}, "details: expected texts of Unicode without NUL"),
        ({"details": {"x": "y" * 20_000}}, "details: expected at most 16384 bytes of JSON, got"),
    ],
)
def test_a_proposal_that_is_no_good_costs_its_candidate_and_says_what_was_expected(
    changed: dict[str, Any], says: str
) -> None:
    found = answers([structs.replace(GOOD, candidate_id=1, **changed), GOOD])
    assert found.given == {2: GOOD}
    assert set(found.invalid) == {1}
    assert says in str(found.invalid[1])


def test_a_text_that_only_looks_like_a_nul_is_as_good_as_any_other() -> None:
    given = structs.replace(GOOD, details={"x": "\\u0000"})
    assert answers([given]).given == {2: given}


def test_details_that_nest_without_end_are_no_json() -> None:
    endless: dict[str, object] = {}
    endless["x"] = endless
    assert "ValueError: Circular reference" in str(answers([structs.replace(GOOD, details=endless)]).invalid[2])


def test_details_are_a_copy_that_the_evaluator_cannot_change_afterwards() -> None:
    details = {"tags": ["a"]}
    found = answers([structs.replace(GOOD, details=details)])
    details["tags"].append("b")
    kept = found.given[2]
    assert isinstance(kept, Proposal)
    assert kept.details == {"tags": ["a"]}


def test_two_answers_for_one_candidate_are_none() -> None:
    found = answers([GOOD, structs.replace(GOOD, candidate_id=3), GOOD, GOOD])
    assert set(found.given) == {3}
    assert str(found.invalid[2]) == "expected one answer, got several"


def test_an_answer_for_a_candidate_that_was_not_asked_about_is_counted_and_costs_nobody() -> None:
    found = answers([structs.replace(GOOD, candidate_id=99), GOOD])
    assert (found.given, found.invalid, found.strangers) == ({2: GOOD}, {}, 1)


def test_who_is_not_named_was_abstained_from() -> None:
    assert answers([]) == Answers()
    assert answers(iter([GOOD])).given == {2: GOOD}


@pytest.mark.parametrize(
    "nothing",
    [None, 7, "later", {2: GOOD}, [None], [("retry", 0.5)], [structs.replace(GOOD, candidate_id=cast(int, "2"))]],
)
def test_what_is_no_list_of_answers_fails_as_a_whole(nothing: Any) -> None:
    with pytest.raises(InvalidAnswer, match=r"expected (a Proposal|Proposals)"):
        answers(nothing)


def test_what_it_raises_while_it_answers_is_raised() -> None:
    def half() -> Iterator[Answer]:
        yield GOOD
        raise LookupError("no more")

    with pytest.raises(LookupError):
        answers(half())


def test_only_a_leased_one_may_answer_later() -> None:
    later = Later(2, timedelta(minutes=5))
    assert answers([later], may_wait=True).given == {2: later}
    assert "only a leased evaluator may answer later" in str(answers([later]).invalid[2])


@pytest.mark.parametrize("delay", [timedelta(seconds=-1), timedelta(days=8), 60])
def test_later_is_within_a_week(delay: Any) -> None:
    assert "expected a timedelta of 0 to 7 days" in str(answers([Later(2, delay)], may_wait=True).invalid[2])
