"""A decision depends on its candidate and nothing else, and stays within its bounds."""

import json
from dataclasses import fields
from datetime import UTC, timedelta
from random import Random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from m10actors.recovery.actions import SEEDED_ACTIONS, Action
from m10actors.recovery.conditions import All, Code, Message, Not, Rate, Source
from m10actors.recovery.conditions import History as PastCases
from m10actors.recovery.confidence import Cases, confidence
from m10actors.recovery.decision import Decision, conclude, decide, decide_again, from_record
from m10actors.recovery.facts import Candidate, Facts, History
from m10actors.recovery.gates import Policy, Reason
from m10actors.recovery.proof import Scope
from m10actors.recovery.quiet_hours import QuietHours
from m10actors.recovery.rules import CONTRACT_RULES, Matches, Rule, RuleMatch, Ruleset
from m10actors.recovery.scoring import standings

fragments = st.sampled_from(
    ["TIMEOUT", "429", "500", "1500", "QUOTA_EXCEEDED", "AUTH", "DNS", "UNKNOWN", "PARSE", "_", "E", "x", " ", "é"]
)
codes = st.lists(fragments, min_size=1, max_size=5).map("".join) | st.text(max_size=20)
outcomes = st.lists(
    st.tuples(st.booleans(), st.timedeltas(min_value=timedelta(days=-1), max_value=timedelta(days=4_000))), max_size=6
)
cases = st.dictionaries(st.sampled_from(sorted(SEEDED_ACTIONS)), outcomes, max_size=3).map(
    lambda by_action: tuple(Cases.of(action, found) for action, found in by_action.items())
)
histories = st.builds(History, code=cases, fingerprint=cases)
ages = st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=800_000))
windows = st.integers(1, 10**6).map(lambda seconds: timedelta(seconds=seconds))
candidates = st.builds(
    Candidate,
    id=st.integers(1, 2**62),
    generation=st.integers(1, 1_000),
    error_code=codes,
    error_message=st.text(max_size=30) | fragments,
    source=st.sampled_from(["api", "billing"]),
    fingerprint=st.just("f"),
    occurrence_count=st.integers(1, 10_000),
    at=st.datetimes(timezones=st.just(UTC)),
    since_executed=st.none() | ages,
    age=st.none() | ages,
    rates=st.lists(st.tuples(windows, st.floats(0, 1e9)), max_size=2).map(tuple),
)
policy_fields: dict[str, st.SearchStrategy[Any]] = {
    "auto_execute": st.booleans(),
    "min_confidence": st.floats(0, 1),
    "auto_confidence": st.floats(0, 1),
    "destinations_for": st.frozensets(st.sampled_from(sorted(SEEDED_ACTIONS))),
    "evaluator_enabled": st.booleans(),
    "execution_cooldown": ages,
    "quiet_hours": st.sampled_from([QuietHours(), QuietHours.parse(["22:00-07:00", "Sat,Sun 00:00-24:00"], "UTC")]),
}
policies = st.builds(Policy, **policy_fields)
known_actions = st.dictionaries(
    st.sampled_from(sorted(SEEDED_ACTIONS)),
    st.tuples(st.booleans(), st.booleans(), st.booleans(), st.integers(1, 100), st.integers(0, 1)),
).map(lambda flags: {code: Action(code, *given) for code, given in flags.items()})


class Word:
    """A pattern that some messages match and that breaks on others."""

    text = "TIMEOUT"

    def search(self, text: str) -> str | None:
        if "é" in text:
            raise UnicodeError("é")
        return self.text if self.text in text else None


MINUTE = timedelta(minutes=1)
PACK = Ruleset(
    (
        *CONTRACT_RULES.rules,
        Rule("says", "skip_task", 0.9, Message(Word())),
        Rule("storm", "notify_ops", 0.6, Rate(20, MINUTE), priority=1),
        Rule("here", None, 1.1, All((PastCases(4, 0.5, scope=Scope.FINGERPRINT), Source(("billing",))))),
        Rule("generally", "notify_ops", 0.65, PastCases(3, 0.8, "notify_ops", Scope.ACTION), tier=2),
        Rule("else", "rollback_state", 0.4, Not(Code(("PARSE",))), tier=2, adjustment=-0.2),
    )
)
rulesets = st.sampled_from([CONTRACT_RULES, PACK, Ruleset(PACK.rules[::-1]), Ruleset(())])


def decided(
    batch: list[tuple[Candidate, History]], policy: Policy, ruleset: Ruleset = CONTRACT_RULES
) -> list[Decision]:
    return [decide(candidate, history, SEEDED_ACTIONS, policy, ruleset) for candidate, history in batch]


@given(candidates, histories, policies)
def test_confidence_stays_within_0_and_1(candidate: Candidate, history: History, policy: Policy) -> None:
    decision = decide(candidate, history, SEEDED_ACTIONS, policy)
    assert 0.0 <= decision.confidence <= 1.0
    assert decision.total >= 0.0


@given(candidates, histories, policies)
def test_only_what_is_allowed_is_executed(candidate: Candidate, history: History, policy: Policy) -> None:
    decision = decide(candidate, history, SEEDED_ACTIONS, policy)
    assert decision.execute == (decision.reason is Reason.EXECUTES)
    if decision.execute:
        assert decision.action is not None
        action = SEEDED_ACTIONS[decision.action]
        assert policy.auto_execute
        assert action.is_automated
        assert not action.requires_approval
        assert action.code in policy.destinations_for
        assert decision.confidence >= max(policy.min_confidence, policy.auto_confidence)


@given(st.lists(st.tuples(candidates, histories), max_size=5), policies, rulesets, st.integers(0, 5), st.randoms())
def test_neither_the_cut_of_a_batch_nor_its_order_changes_a_decision(
    batch: list[tuple[Candidate, History]], policy: Policy, ruleset: Ruleset, cut: int, random: Random
) -> None:
    whole = decided(batch, policy, ruleset)
    assert decided(batch[:cut], policy, ruleset) + decided(batch[cut:], policy, ruleset) == whole
    order = random.sample(range(len(batch)), len(batch))
    assert decided([batch[index] for index in order], policy, ruleset) == [whole[index] for index in order]


@given(candidates, histories, policies)
def test_the_message_is_no_ground_for_a_decision_of_the_ten(
    candidate: Candidate, history: History, policy: Policy
) -> None:
    other = structs.replace(candidate, error_message="another", id=7, generation=9)
    [one], [another] = decided([(candidate, history)], policy), decided([(other, history)], policy)
    assert structs.replace(one, seen=None) == structs.replace(another, seen=None)


@given(outcomes)
def test_the_confidence_of_history_is_none_or_within_a_tenth_and_1(cases: list[tuple[bool, timedelta]]) -> None:
    sure = confidence(Cases.of("x", cases))
    assert sure is None or 0.1 <= sure <= 1.0


@given(candidates, histories, known_actions, policies, rulesets)
def test_a_decision_is_made_again_from_its_record(
    candidate: Candidate, history: History, actions: dict[str, Action], policy: Policy, ruleset: Ruleset
) -> None:
    decision = decide(candidate, history, actions, policy, ruleset)
    record = json.loads(json.dumps(decision.record()))
    assert from_record(record) == decision
    assert decide_again(record) == decision
    assert decide_again(record, ruleset) == decision


@given(candidates, histories, policies, rulesets, rulesets)
def test_other_rules_decide_on_a_record_as_they_would_have_then(
    candidate: Candidate, history: History, policy: Policy, then: Ruleset, now: Ruleset
) -> None:
    record = decide(candidate, history, SEEDED_ACTIONS, policy, then).record()
    assert decide_again(record, now) == decide(candidate, history, SEEDED_ACTIONS, policy, now)


@given(candidates, histories, policies)
def test_what_another_evaluator_proposed_is_recorded_and_not_asked_for_again(
    candidate: Candidate, history: History, policy: Policy
) -> None:
    proposed = Matches((RuleMatch("model", "notify_ops", 0.9, 0.0, "the model says so"),))
    facts = Facts(candidate, history, SEEDED_ACTIONS)
    decision = conclude(facts, proposed, policy, evaluator="model", details={"version": "7"})
    record = json.loads(json.dumps(decision.record()))
    assert decide_again(record, CONTRACT_RULES) == from_record(record) == decision


@given(candidates, histories, policies, st.randoms())
def test_the_order_in_which_past_cases_are_read_changes_nothing(
    candidate: Candidate, history: History, policy: Policy, random: Random
) -> None:
    shuffled = History(*(tuple(random.sample(each, len(each))) for each in (history.code, history.fingerprint)))
    one, other = (decide(candidate, each, SEEDED_ACTIONS, policy, PACK) for each in (history, shuffled))
    assert structs.replace(one, seen=None) == structs.replace(other, seen=None)


@given(candidates, histories, policies)
def test_the_first_standing_is_what_is_proposed_and_the_runner_up_another(
    candidate: Candidate, history: History, policy: Policy
) -> None:
    decision = decide(candidate, history, SEEDED_ACTIONS, policy, PACK)
    found = standings(decision.matched)
    assert decision.action in (None, *(each.action for each in found[:1]))
    assert len({each.action for each in found}) == len(found)
    assert [each.best for each in found] == sorted((each.best for each in found), reverse=True)
    assert decision.runner_up == (found[1] if len(found) > 1 else None)


@given(candidates, policies, rulesets)
def test_a_rule_that_raises_costs_nobody_else_anything(candidate: Candidate, policy: Policy, ruleset: Ruleset) -> None:
    with_accent = structs.replace(candidate, error_message="é")
    decision = decide(with_accent, History(), SEEDED_ACTIONS, policy, ruleset)
    failed = {each.rule for each in decision.failed_rules}
    assert failed <= {"says"}
    others = Ruleset(tuple(rule for rule in ruleset.rules if rule.name not in failed))
    assert decide(with_accent, History(), SEEDED_ACTIONS, policy, others).matched == decision.matched


def test_the_record_of_a_policy_has_every_field_of_it() -> None:
    assert policy_fields.keys() == {each.name for each in fields(Policy)}
