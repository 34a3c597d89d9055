"""Each condition of a rule: what it holds for, what only looks like it, and what it says it saw."""

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest
from msgspec import structs

from m10actors.recovery import conditions
from m10actors.recovery.actions import SEEDED_ACTIONS
from m10actors.recovery.conditions import (
    All,
    Code,
    Condition,
    Fingerprint,
    History,
    Message,
    Not,
    Occurrences,
    Rate,
    Source,
    leaves,
)
from m10actors.recovery.confidence import Cases
from m10actors.recovery.facts import NO_HISTORY, Candidate, Facts, message_seen
from m10actors.recovery.facts import History as PastCases
from m10actors.recovery.proof import Scope

MINUTE = timedelta(minutes=1)
FAILURE = Candidate(
    id=1,
    generation=1,
    error_code="HTTP_503",
    error_message="upstream says: connection reset by peer",
    source="billing",
    fingerprint="f" * 64,
    occurrence_count=7,
    at=datetime(2026, 1, 5, tzinfo=UTC),
    rates=((MINUTE, 4.5),),
)


@dataclass(frozen=True)
class Words:
    """A pattern of the standard library."""

    text: str

    def search(self, text: str) -> str | None:
        found = re.search(self.text, text)
        return found[0] if found else None


def seen(condition: Condition, failure: Candidate = FAILURE, history: PastCases = NO_HISTORY) -> str | None:
    return condition.holds(Facts(failure, history, SEEDED_ACTIONS))


def cases(action: str, successes: int, matches: int) -> Cases:
    return Cases.of(action, [(number < successes, timedelta(0)) for number in range(matches)])


@pytest.mark.parametrize(
    ("condition", "because"),
    [
        (Code(("TIMEOUT", "503")), "the error code contains 503"),
        (Code(("http",)), "the error code contains HTTP"),
        (Code(("HTTP_503",), whole=True), "the error code contains HTTP_503"),
        (Message(Words("connection reset")), 'the message says "connection reset"'),
        (Source(("orders", "billing")), "the source is billing"),
        (Fingerprint(("f" * 64,)), "the fingerprint is ffffffffffff"),
        (Occurrences(7), "7 occurrences"),
        (Rate(4.5, MINUTE), "about 4 occurrences within 1 min"),
        (All((Code(("503",)), Occurrences(5))), "the error code contains 503 and 7 occurrences"),
        (conditions.Any((Code(("TIMEOUT",)), Occurrences(5))), "7 occurrences"),
        (Not(Source(("orders", "stock"))), "it is not so that the source is orders or stock"),
    ],
)
def test_a_condition_that_holds_says_what_it_saw(condition: Condition, because: str) -> None:
    assert seen(condition) == because


@pytest.mark.parametrize(
    "condition",
    [
        Code(("TIMEOUT", "50")),
        Code(("HTT",), whole=True),
        Message(Words("Connection Reset")),
        Source(("bill", "billing2")),
        Fingerprint(("f" * 12,)),
        Occurrences(8),
        Rate(4.51, MINUTE),
        Rate(1, timedelta(seconds=59)),
        All((Code(("503",)), Occurrences(8))),
        conditions.Any((Code(("TIMEOUT",)), Occurrences(8))),
        Not(Occurrences(7)),
    ],
)
def test_a_condition_does_not_hold_for_what_only_looks_like_it(condition: Condition) -> None:
    assert seen(condition) is None


@pytest.mark.parametrize(
    ("patterns", "code"),
    [
        (("500",), "E15003"),
        (("500",), "5000"),
        (("AUTH",), "AUTHOR_MISSING"),
        (("EIO",), "VIDEO_EIOS"),
        (("DNS",), "DNS_FAILED"),
        (("UNAVAILABLE",), "ITEM-UNAVAILABLE"),
        (("40001",), "1.40001"),
    ],
)
def test_a_whole_word_is_no_part_of_another(patterns: tuple[str, ...], code: str) -> None:
    assert seen(Code(patterns, whole=True), structs.replace(FAILURE, error_code=code)) is None


@pytest.mark.parametrize("code", ["DNS", "dns", "DNS FAILED", "lookup: DNS.", "(DNS)/x"])
def test_a_whole_word_stands_for_itself_wherever_it_stands(code: str) -> None:
    assert seen(Code(("DNS",), whole=True), structs.replace(FAILURE, error_code=code)) is not None


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda: Code(()), "code: at least one"),
        (lambda: Code(("A", "")), "code: at least one"),
        (lambda: Source(()), "source: at least one"),
        (lambda: Fingerprint(()), "fingerprint: at least one"),
        (lambda: Occurrences(0), "occurrences: at least 1"),
        (lambda: Rate(0, MINUTE), "rate: more than 0"),
        (lambda: Rate(1, timedelta(milliseconds=1500)), "rate: a window is a whole number of seconds"),
        (lambda: History(min_matches=2), "history: it counts only from 3"),
        (lambda: History(min_rate=1.1), "history: a rate is 0 .. 1"),
        (lambda: History(scope=Scope.ACTION), "history: of all cases of an action"),
        (lambda: All(()), "all: at least one"),
        (lambda: conditions.Any(()), "any: at least one"),
    ],
)
def test_a_condition_that_makes_no_sense_cannot_be_made(make: object, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        make()  # type: ignore[operator]


def test_the_leaves_are_what_it_is_made_of() -> None:
    condition = All((Code(("A",)), conditions.Any((Occurrences(2), Not(Rate(1, MINUTE))))))
    assert list(leaves(condition)) == [Code(("A",)), Occurrences(2), Rate(1, MINUTE)]


def test_a_message_is_shown_on_one_line_and_cut() -> None:
    long = structs.replace(FAILURE, error_message="a\n\tb" + "c" * 100)
    assert seen(Message(Words("(?s).*")), long) == f'the message says "a b{"c" * 76}…"'


def test_of_a_long_message_its_beginning_and_its_end_are_seen() -> None:
    assert message_seen("m" * 16_384) == "m" * 16_384
    assert message_seen("a" * 8192 + "b" + "c" * 8192) == "a" * 8192 + "\n" + "c" * 8192


class TestHistory:
    """This very failure (fingerprint) goes before the error code."""

    def test_of_this_very_failure_counts_first(self) -> None:
        history = PastCases(code=(cases("notify_ops", 9, 9),), fingerprint=(cases("skip_task", 3, 3),))
        assert seen(History(), history=history) == "skip_task succeeded in 3 of 3 past cases of this very failure"

    def test_of_the_error_code_counts_where_this_failure_has_too_few_cases(self) -> None:
        history = PastCases(code=(cases("notify_ops", 3, 4),), fingerprint=(cases("notify_ops", 2, 2),))
        assert seen(History(), history=history) == "notify_ops succeeded in 3 of 4 past cases of this error code"

    def test_an_action_that_has_failed_here_is_not_taken_for_what_it_did_elsewhere(self) -> None:
        history = PastCases(code=(cases("notify_ops", 20, 23),), fingerprint=(cases("notify_ops", 0, 3),))
        assert seen(History(min_rate=0.7), history=history) is None
        assert seen(History(min_rate=0.7, scope=Scope.CODE), history=history) is not None

    def test_of_one_action_asks_for_that_one(self) -> None:
        history = PastCases(code=(cases("notify_ops", 9, 9), cases("skip_task", 3, 4)))
        assert seen(History(action="skip_task"), history=history) is not None
        assert seen(History(action="rollback_state"), history=history) is None

    def test_of_an_action_whatever_it_was_taken_for_goes_by_its_success_rate(self) -> None:
        actions = {"notify_ops": replace(SEEDED_ACTIONS["notify_ops"], applications=10, successes=8)}
        facts = Facts(FAILURE, NO_HISTORY, actions)
        assert History(10, 0.8, "notify_ops", Scope.ACTION).holds(facts) == (
            "notify_ops succeeded in 8 of 10 past cases of all kinds"
        )
        assert History(11, 0.8, "notify_ops", Scope.ACTION).holds(facts) is None
        assert History(10, 0.81, "notify_ops", Scope.ACTION).holds(facts) is None
