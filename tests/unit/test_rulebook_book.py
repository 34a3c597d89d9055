"""Patterns within their time, and rules that are switched off when they fail."""

import threading
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from m10actors import metrics
from m10actors.evaluation import Rules
from m10actors.recovery.actions import SEEDED_ACTIONS
from m10actors.recovery.conditions import Code, Message, Not
from m10actors.recovery.facts import NO_HISTORY, Candidate, Facts
from m10actors.recovery.gates import Policy
from m10actors.recovery.rules import FailedRule, Rule, Ruleset
from m10actors.rulebook import Book
from m10actors.rulebook.pattern import InvalidPattern, Pattern, PatternTooSlow

LIMIT = timedelta(milliseconds=20)
SAFE = Rule("safe", "notify_ops", 0.5, Code(("BAD",)))


def facts(message: str = "", code: str = "BAD") -> Facts:
    candidate = Candidate(1, 1, code, message, "shop", "f", 1, datetime(2026, 1, 1, tzinfo=UTC))
    return Facts(candidate, NO_HISTORY, SEEDED_ACTIONS)


def slow(text: str = "x") -> Pattern:
    """Each look at its clock costs a second."""
    return Pattern(text, LIMIT, clock=map(float, count()).__next__)


@pytest.fixture
def book():
    made = Book(Ruleset((Rule("runs_away", "skip_task", 0.9, Message(slow())), SAFE)))
    yield made
    made.close()


def test_a_pattern_gives_the_first_part_that_matches() -> None:
    assert Pattern(r"no \w+ left", LIMIT).search("there is No space left and no time left") == "No space left"
    assert Pattern("y", LIMIT).search("x") is None


def test_a_search_that_takes_longer_than_its_limit_is_an_error() -> None:
    with pytest.raises(PatternTooSlow, match="1000 ms, at most 20 ms are allowed"):
        slow().search("anything")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a(b", "character 2: missing ): a(b"),
        (r"\(closed(x) and (open (x)", "character 17: missing ): \\(closed(x) and (open (x)"),
        ("ok[z-a]", "character 4: invalid character class range: z-a"),
        ("x(?=y)", "character 2: invalid perl operator: (?="),
        ("ä**", "character 2: bad repetition operator: **"),
    ],
)
def test_a_text_that_is_no_pattern_says_where(text: str, said: str) -> None:
    with pytest.raises(InvalidPattern) as caught:
        Pattern(text, LIMIT)
    assert str(caught.value) == said


@given(st.text(max_size=50), st.text(max_size=200))
def test_whatever_is_written_is_a_pattern_or_says_why_not(text: str, message: str) -> None:
    try:
        pattern = Pattern(text, timedelta(seconds=10))
    except InvalidPattern:
        pass
    else:
        assert pattern.search(message) is None or pattern.text == text


def test_a_rule_that_runs_away_is_switched_off_and_the_others_decide_on(book: Book) -> None:
    rules = Rules(Policy(), {}, book=book)
    first = rules.judge().by_rules(facts("x"))
    assert (first.action, [failed.rule for failed in first.failed_rules]) == ("notify_ops", ["runs_away"])
    again = rules.judge().by_rules(facts("x"))
    assert (again.action, again.failed_rules) == ("notify_ops", ())
    assert again.rules_version == book.rules.version != first.rules_version


def test_a_rule_fails_even_where_its_pattern_stands_behind_a_not() -> None:
    book = Book(Ruleset((Rule("unless", "skip_task", 0.9, Not(Message(slow()))), SAFE)))
    assert Rules(Policy(), {}, book=book).judge().by_rules(facts("x")).action == "notify_ops"
    book.close()


def test_what_is_switched_off_is_said_once_and_counted_until_other_rules_decide(
    book: Book, caplog: pytest.LogCaptureFixture
) -> None:
    failed = [FailedRule("runs_away", "PatternTooSlow: 30 ms")]
    book.switch_off(failed)
    book.switch_off(failed)
    assert metrics.REGISTRY.get_sample_value("m10_rule_switched_off", {"rule": "runs_away"}) == 1
    assert [record.getMessage() for record in caplog.records].count("rule_switched_off") == 1
    book.close()
    assert metrics.REGISTRY.get_sample_value("m10_rule_switched_off", {"rule": "runs_away"}) is None
    book.switch_off([FailedRule("safe", "late")])
    assert metrics.REGISTRY.get_sample_value("m10_rule_switched_off", {"rule": "safe"}) is None


def test_many_workers_switch_the_same_rule_off_once(book: Book, caplog: pytest.LogCaptureFixture) -> None:
    rules = Rules(Policy(), {}, book=book)
    workers = [threading.Thread(target=lambda: rules.judge().by_rules(facts("x"))) for _ in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [record.getMessage() for record in caplog.records].count("rule_switched_off") == 1
    assert [rule.name for rule in book.rules.rules if rule.is_active] == ["safe"]
