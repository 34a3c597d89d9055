"""What other rules make of records: tallies, examples, and what the rules did."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from m10actors.recovery.actions import SEEDED_ACTIONS
from m10actors.recovery.backtesting import EXAMPLES, MOST_WRONG, Backtest
from m10actors.recovery.conditions import All, Code, Occurrences, Rate
from m10actors.recovery.decision import conclude, decide
from m10actors.recovery.facts import NO_HISTORY, Candidate, Facts
from m10actors.recovery.gates import Policy
from m10actors.recovery.rules import CONTRACT_RULES, FailedRule, Matches, Rule, RuleMatch, Ruleset

POLICY = Policy(auto_execute=True, destinations_for=frozenset(SEEDED_ACTIONS))
LOWER = Ruleset((Rule("timeout_retry", "retry_exponential", 0.7, Code(("TIMEOUT",))),))


def candidate(code: str, times: int = 1) -> Candidate:
    return Candidate(1, 1, code, "it broke", "api", "f", times, at=datetime(2026, 1, 5, tzinfo=UTC))


def record(code: str, times: int = 1, rules: Ruleset = CONTRACT_RULES) -> dict[str, Any]:
    decision = decide(candidate(code, times), NO_HISTORY, SEEDED_ACTIONS, POLICY, rules)
    return dict(json.loads(json.dumps(decision.record())))


def tried(rules: Ruleset, *records: dict[str, Any]) -> Backtest:
    backtest = Backtest(rules)
    for number, each in enumerate(records):
        backtest.add(number, each)
    return backtest


def test_the_same_rules_come_to_the_same() -> None:
    found = tried(
        CONTRACT_RULES, *(record(code, times) for code in ("TIMEOUT", "UNKNOWN", "X") for times in (1, 5, 10))
    )
    assert (found.decisions, found.same_rules, found.wrong_count, found.changed_confidence) == (9, 9, 0, 0)
    assert all(before == after for before, after in (*found.actions, *found.by_itself))
    assert not found.examples


def test_other_rules_are_compared_and_a_few_examples_kept_of_each_difference() -> None:
    found = tried(LOWER, *[record("TIMEOUT")] * 9, record("DNS"))
    assert found.actions == {("retry_exponential", "retry_exponential"): 9, ("retry_exponential", None): 1}
    assert found.by_itself == {(True, False): 10}
    assert (found.changed_confidence, found.same_rules, found.wrong_count) == (10, 0, 0)
    kinds = {kind: len(examples) for kind, examples in found.examples.items()}
    assert kinds == {
        ("retry_exponential", True, "retry_exponential", False): EXAMPLES,
        ("retry_exponential", True, None, False): 1,
    }


def test_what_these_rules_decided_otherwise_is_wrong_and_only_some_of_it_is_kept() -> None:
    changed = record("TIMEOUT") | {"d": ["retry_exponential", 0.5, 0.5, "below_auto_confidence"]}
    found = tried(CONTRACT_RULES, *[changed] * (MOST_WRONG + 5))
    assert (found.wrong_count, len(found.wrong)) == (MOST_WRONG + 5, MOST_WRONG)
    seen_otherwise = record("TIMEOUT")
    seen_otherwise["m"][0][4] = "something else"
    assert tried(CONTRACT_RULES, seen_otherwise).wrong_count == 1


def test_rules_are_told_apart_that_decide_are_outscored_are_shadowed_or_never_match() -> None:
    rules = Ruleset(
        (
            Rule("first", "notify_ops", 0.9, Code(("X",))),
            Rule("second", "skip_task", 0.8, Occurrences(1)),
            Rule("hidden", "skip_task", 0.8, Code(("X",)), tier=2),
            Rule("hidden_behind", "skip_task", 0.8, Code(("X",)), tier=3),
            Rule("never", "skip_task", 0.8, Code(("NEVER",)), tier=3),
            Rule("off", "skip_task", 0.8, Code(("X",)), is_active=False),
        )
    )
    found = tried(rules, record("X"), record("X", 3))
    uses = {name: (use.matched, use.decided, use.outscored, use.shadowed) for name, use in found.use.items()}
    assert uses == {
        "first": (2, 2, 0, 0),
        "second": (2, 0, 2, 0),
        "hidden": (0, 0, 0, 2),
        "hidden_behind": (0, 0, 0, 2),
        "never": (0, 0, 0, 0),
    }
    assert (found.never_matched, found.never_decided) == (["never"], ["second", "hidden", "hidden_behind"])


def test_another_evaluator_is_not_asked_again_and_counted() -> None:
    facts = Facts(candidate("TIMEOUT"), NO_HISTORY, SEEDED_ACTIONS)
    proposed = Matches((RuleMatch("model", "skip_task", 0.9, 0.0, "it says so"),))
    decision = conclude(facts, proposed, POLICY, evaluator="model")
    found = tried(LOWER, decision.record())
    assert (found.by_others, found.same_rules, found.wrong_count) == ({"model": 1}, 0, 0)
    assert found.actions == {("skip_task", "skip_task"): 1}
    assert found.never_matched == ["timeout_retry"]


def test_what_cannot_be_read_is_counted_by_what_it_is() -> None:
    damaged = record("TIMEOUT") | {"p": {}}
    found = tried(CONTRACT_RULES, {}, {"generation": 3}, {"v": 2}, {"v": "x"}, damaged)
    assert found.unread == {"without a record": 2, "records of version 2": 1, "damaged records": 2}
    assert found.decisions == 0


def test_rates_that_nobody_counted_are_said() -> None:
    rules = Ruleset((Rule("storm", "notify_ops", 0.9, All((Code(("X",)), Rate(5, timedelta(minutes=1))))),))
    assert tried(rules, record("X")).unknown_rates == 1
    assert tried(CONTRACT_RULES, record("X")).unknown_rates == 0


def test_a_rule_that_failed_then_takes_no_part_now() -> None:
    facts = Facts(candidate("TIMEOUT"), NO_HISTORY, SEEDED_ACTIONS)
    nothing = Matches((), (FailedRule("timeout_retry", "PatternTooSlow: 30 ms"),))
    then = conclude(facts, nothing, POLICY, evaluator="rules", rules_version=LOWER.version)
    assert tried(LOWER, then.record()).wrong_count == 0
