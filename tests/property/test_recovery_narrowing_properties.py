"""Rules that are asked by the error code say what they would have said without it."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from m10actors.recovery.actions import SEEDED_ACTIONS
from m10actors.recovery.conditions import All, Any, Code, Condition, History, Message, Not, Occurrences, Source
from m10actors.recovery.confidence import Cases
from m10actors.recovery.facts import NO_HISTORY, Candidate, Facts
from m10actors.recovery.facts import History as Past
from m10actors.recovery.narrowing import narrowed
from m10actors.recovery.rules import Matches, Rule, Ruleset


@dataclass(frozen=True)
class Words:
    """A pattern of the standard library."""

    text: str

    def search(self, text: str) -> str | None:
        found = re.search(self.text, text)
        return found[0] if found else None


words = st.sampled_from(["TIMEOUT", "429", "AUTH", "DNS"])
leaves: st.SearchStrategy[Condition] = (
    st.builds(Code, st.lists(words, min_size=1, max_size=2).map(tuple), st.booleans())
    | st.builds(Message, st.builds(Words, words))
    | st.builds(Occurrences, st.integers(1, 3))
    | st.builds(Source, st.just(("api",)))
    | st.just(History())
)
conditions: st.SearchStrategy[Condition] = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, min_size=1, max_size=3).flatmap(lambda of: st.sampled_from([All(tuple(of)), Any(tuple(of))]))
        | inner.map(Not)
    ),
    max_leaves=8,
)
codes = st.lists(words | st.sampled_from(["_", "x", "1"]), max_size=3).map("".join)
facts = st.builds(
    lambda code, message, source, seen, past: Facts(
        Candidate(1, 1, code, message, source, "f", seen, datetime(2026, 1, 5, tzinfo=UTC)), past, SEEDED_ACTIONS
    ),
    codes,
    codes,
    st.sampled_from(["api", "billing"]),
    st.integers(1, 3),
    st.sampled_from([NO_HISTORY, Past(code=(Cases("skip_task", 5, 5, 1.0, 5.0),))]),
)


def is_possible(rule: tuple[str | None, Condition]) -> bool:
    """Whether there is a rule with this action and condition."""
    try:
        Rule("any", rule[0], 0.5, rule[1])
    except ValueError:
        return False
    return True


rules = st.builds(
    lambda name, rule, score, priority, tier, is_active: Rule(
        name, rule[0], score, rule[1], priority=priority, tier=tier, is_active=is_active
    ),
    st.uuids().map(str),
    st.tuples(st.none() | st.sampled_from(sorted(SEEDED_ACTIONS)), conditions).filter(is_possible),
    st.sampled_from([0.5, 0.9]),
    st.integers(0, 1),
    st.integers(1, 3),
    st.sampled_from([True, True, False]),
)


@given(conditions, facts)
def test_what_is_left_of_a_condition_says_what_the_whole_says(condition: Condition, seen: Facts) -> None:
    left = narrowed(condition, seen.code)
    assert (left if left is None or isinstance(left, str) else left.holds(seen)) == condition.holds(seen)


@given(st.lists(rules, max_size=6), st.lists(facts, min_size=1, max_size=3))
def test_rules_match_as_if_each_were_asked_for_each_failure(given_rules: list[Rule], batch: list[Facts]) -> None:
    ruleset = Ruleset(tuple(given_rules))
    for seen in (*batch, *batch):
        found = ruleset.matches(seen)
        assert found == _one_by_one(given_rules, seen)
        assert set(ruleset.shadowed(seen, found.matched)) == _shadowed(given_rules, seen, found)


def _one_by_one(asked: list[Rule], seen: Facts) -> Matches:
    matched = []
    for tier in (1, 2, 3):
        of_tier = [
            (rule, match) for rule in asked if rule.is_active and rule.tier == tier and (match := rule.match(seen))
        ]
        matched += [(-match.score, -rule.priority, asked.index(rule), match) for rule, match in of_tier]
        if any(rule.is_of_identity for rule, _ in of_tier):
            break
    return Matches(tuple(match for *_, match in sorted(matched)))


def _shadowed(asked: list[Rule], seen: Facts, found: Matches) -> set[str]:
    names = {match.rule for match in found.matched}
    identified = [rule.tier for rule in asked if rule.name in names and rule.is_of_identity]
    if not identified:
        return set()
    return {rule.name for rule in asked if rule.is_active and rule.tier > identified[0] and rule.match(seen)}
