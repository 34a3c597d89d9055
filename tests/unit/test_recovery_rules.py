"""Rules together: their order, their tiers, one that raises, and the version of them all."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from m10actors.recovery.actions import SEEDED_ACTIONS
from m10actors.recovery.conditions import All, Any, Code, History, Message, Not, Occurrences, Rate
from m10actors.recovery.facts import NO_HISTORY, Candidate, Facts
from m10actors.recovery.rules import CONTRACT_RULES, FailedRule, Matches, Rule, RuleMatch, Ruleset
from m10actors.recovery.scoring import Score, Standing, score, standings


class Raising:
    """A pattern that no text gets through."""

    text = "bad"

    def search(self, text: str) -> str | None:
        raise OverflowError(f"{len(text)} characters")


def matched(code: str, *rules: Rule, occurrences: int = 1) -> Matches:
    failure = Candidate(1, 1, code, "broke", "api", "f", occurrences, datetime(2026, 1, 5, tzinfo=UTC))
    return Ruleset(rules).matches(Facts(failure, NO_HISTORY, SEEDED_ACTIONS))


def names(found: Matches) -> list[str]:
    return [match.rule for match in found.matched]


def by_code(name: str, code: str = "X", value: float = 0.5, **others: int) -> Rule:
    return Rule(name, "notify_ops", value, Code((code,)), **others)  # type: ignore[arg-type]


def test_the_best_score_goes_first_then_the_higher_priority_then_the_list() -> None:
    rules = (by_code("first"), by_code("second"), by_code("urgent", priority=1), by_code("best", value=0.6))
    assert names(matched("X", *rules)) == ["best", "urgent", "first", "second"]


class TestTiers:
    """A wider set of rules changes nothing that a narrower one has decided."""

    def test_a_rule_of_a_higher_tier_is_left_out_where_a_lower_one_knows_the_failure(self) -> None:
        rules = (by_code("wide", value=0.99, tier=2), by_code("narrow"))
        assert names(matched("X", *rules)) == ["narrow"]

    def test_it_counts_where_the_lower_ones_only_saw_how_often_it_came(self) -> None:
        often = Rule("often", "notify_ops", 0.7, Occurrences(5))
        assert names(matched("X", often, by_code("wide", tier=2), occurrences=5)) == ["often", "wide"]

    def test_the_first_tier_that_knows_the_failure_is_the_last_that_is_asked(self) -> None:
        rules = (by_code("widest", tier=3), by_code("wide", tier=2), by_code("other", "Y"))
        assert names(matched("X", *rules)) == ["wide"]

    @pytest.mark.parametrize("code", ["TIMEOUT", "HTTP_503", "UNKNOWN", "AUTH_TIMEOUT_429"])
    def test_the_ten_of_the_contract_decide_alone_what_they_know(self, code: str) -> None:
        wide = by_code("wide", code, 0.99, tier=2)
        assert matched(code, *CONTRACT_RULES.rules, wide) == matched(code, *CONTRACT_RULES.rules)


def test_a_rule_that_raises_is_told_of_and_the_others_decide() -> None:
    bad = Rule("bad", "skip_task", 0.99, Message(Raising()))
    found = matched("X", bad, by_code("good"))
    assert names(found) == ["good"]
    assert found.failed == (FailedRule("bad", "OverflowError: 5 characters"),)


def test_a_rule_that_raises_is_not_asked_where_its_other_conditions_do_not_hold() -> None:
    no = Code(("Y",))
    for when in (All((no, Message(Raising()))), All((Message(Raising()), no))):
        assert matched("X", Rule("bad", "skip_task", 0.99, when)) == Matches()


def test_a_history_that_need_not_hold_stays_one_where_the_code_leaves_nothing_else() -> None:
    either = Rule("either", "skip_task", 0.5, Any((Code(("Y",)), History())))
    assert matched("X", either) == Matches()
    assert names(matched("Y", either)) == ["either"]


class TestVersion:
    def test_is_that_of_the_content(self) -> None:
        assert Ruleset((by_code("a"),)).version == Ruleset((by_code("a"),)).version
        assert len(CONTRACT_RULES.version) == 12

    @pytest.mark.parametrize(
        "other",
        [
            by_code("b"),
            by_code("a", "Y"),
            by_code("a", value=0.51),
            by_code("a", priority=1),
            by_code("a", tier=2),
            replace(by_code("a"), is_active=False),
            replace(by_code("a"), adjustment=0.1),
            Rule("a", "notify_ops", 0.5, Code(("X",), whole=True)),
            Rule("a", "notify_ops", 0.5, Message(Raising())),
            Rule("a", "notify_ops", 0.5, Not(Code(("X",)))),
        ],
    )
    def test_differs_with_everything_that_decides(self, other: Rule) -> None:
        assert Ruleset((other,)).version != Ruleset((by_code("a"),)).version

    def test_is_the_same_for_another_object_of_the_same_pattern(self) -> None:
        one, other = (Ruleset((Rule("a", "notify_ops", 0.5, Message(Raising())),)) for _ in range(2))
        assert one.version == other.version


def test_a_name_stands_for_one_rule() -> None:
    with pytest.raises(ValueError, match="rule a: there are two rules of that name"):
        Ruleset((by_code("a"), by_code("b"), by_code("a", "Y")))


def test_a_rule_without_an_action_has_one_history_that_always_has_to_hold() -> None:
    Rule("proven", None, 1.0, All((Code(("X",)), History())))
    for when in (Any((History(), Code(("X",)))), Not(History()), All((History(), History(5)))):
        with pytest.raises(ValueError, match="rule proven:"):
            Rule("proven", None, 1.0, when)


def test_the_levels_of_a_rate_are_those_of_the_active_rules() -> None:
    minute, hour = timedelta(minutes=1), timedelta(hours=1)
    rules = (
        Rule("a", "notify_ops", 0.5, Rate(100, hour)),
        Rule("b", "notify_ops", 0.5, Not(Rate(20, minute))),
        Rule("c", "notify_ops", 0.5, All((Rate(20, minute), Rate(5, minute)))),
        Rule("d", "notify_ops", 0.5, Rate(1, minute), is_active=False),
    )
    assert Ruleset(rules).rate_levels == ((minute, 5), (minute, 20), (hour, 100))
    assert CONTRACT_RULES.rate_levels == ()


def test_every_proposed_action_has_its_own_standing_in_its_rank() -> None:
    matches = [
        RuleMatch("a", "retry", 0.9, 0.0, ""),
        RuleMatch("b", "notify", 0.85, 0.1, ""),
        RuleMatch("c", "retry", 0.7, 0.0, ""),
    ]
    assert standings(matches) == (
        Standing("retry", 0.9, Score(0.8, 0.8), ("a", "c")),
        Standing("notify", 0.85, Score(0.85, 0.95), ("b",)),
    )
    assert score([]) == Score(0.0, 0.0)
