"""What an explanation says would change a decision changes it, and nothing smaller does."""

import json
from dataclasses import replace
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from test_recovery_decision_properties import (
    PACK,
    candidates,
    histories,
    known_actions,
    policies,
    rulesets,
)

from m10actors.recovery.actions import Action
from m10actors.recovery.decision import Decision, Seen, conclude, decide
from m10actors.recovery.explaining import document, explain, told
from m10actors.recovery.explaining.changes import Change, Outcomes, Recurrence, RuleChange, Scene
from m10actors.recovery.explaining.flips import decided_after
from m10actors.recovery.explaining.ladders import ladders
from m10actors.recovery.facts import Candidate, Facts, History
from m10actors.recovery.gates import Policy, Reason
from m10actors.recovery.rules import Matches, RuleMatch, Ruleset

situations = st.tuples(candidates, histories, known_actions, policies, rulesets)
Situation = tuple[Candidate, History, dict[str, Action], Policy, Ruleset]


def came_to(decision: Decision) -> tuple[str | None, bool]:
    return decision.action, decision.execute


@settings(max_examples=60)
@given(situations)
def test_every_change_that_is_named_flips_the_decision(situation: Situation) -> None:
    candidate, history, actions, policy, ruleset = situation
    decision = decide(candidate, history, actions, policy, ruleset)
    explanation = explain(decision, ruleset)
    for flip in explanation.flips:
        after = flip.change.applied(Scene(explanation.seen, ruleset))
        facts = after.seen.facts
        assert after.rules is not None
        again = decide(facts.candidate, facts.history, facts.actions, after.seen.policy, after.rules)
        assert again == flip.after
        assert came_to(again) != came_to(decision), str(flip)
    sizes = [flip.change.size for flip in explanation.flips]
    assert sizes == sorted(sizes)


@settings(max_examples=60)
@given(situations, st.randoms(use_true_random=False))
def test_nothing_smaller_of_the_same_kind_flips_it_and_where_nothing_is_named_nothing_does(
    situation: Situation, random: Random
) -> None:
    decision = decide(*situation)
    assert decision.seen is not None
    scene = Scene(decision.seen, situation[-1])
    ladder = random.choice(list(ladders(decision, scene)))
    flipping = (step for step in ladder.steps if came_to(decided_after(step, decision, scene)) != came_to(decision))
    smallest: Change | None = next(flipping, None)
    named = [flip.change for flip in explain(decision, situation[-1]).flips if flip.change in ladder.steps]
    assert named[:1] == ([] if smallest is None else [smallest])


@settings(max_examples=60)
@given(situations)
def test_it_tells_of_any_decision_and_names_every_gate(situation: Situation) -> None:
    decision = decide(*situation)
    explanation = explain(decision, situation[-1])
    assert explanation.closed[:1] == (() if decision.execute else (decision.reason,))
    sections = dict(told(explanation))
    assert all(sections.values())
    assert len(sections) == 6
    json.dumps(document(explanation))


@settings(max_examples=40)
@given(situations)
def test_opening_the_only_closed_gate_of_what_waits_is_among_the_changes(situation: Situation) -> None:
    decision = decide(*situation)
    explanation = explain(decision, situation[-1])
    openable = set(Reason) - {Reason.NO_RULE_MATCHED, Reason.EVALUATOR_OFF, Reason.ACTION_NOT_ACTIVE}
    if len(explanation.closed) == 1 and explanation.closed[0] in openable:
        assert any(flip.after.execute for flip in explanation.flips)


@settings(max_examples=40)
@given(situations)
def test_of_rules_that_are_not_known_no_change_is_named_that_asks_for_them(situation: Situation) -> None:
    decision = decide(*situation)
    explanation = explain(decision, None if situation[-1] is PACK else Ruleset(PACK.rules[:3]))
    assert not explanation.rules_known
    assert not [flip for flip in explanation.flips if isinstance(flip.change, Recurrence | Outcomes | RuleChange)]


@settings(max_examples=40)
@given(candidates, policies)
def test_what_another_evaluator_proposed_is_explained_by_its_proposal(candidate: Candidate, policy: Policy) -> None:
    policy = replace(policy, evaluator_enabled=True)
    facts = Facts(candidate, History(), {"notify_ops": Action("notify_ops", True, False)})
    proposed = Matches((RuleMatch("model", "notify_ops", 0.9, 0.0, "the model says so"),))
    decision = conclude(facts, proposed, policy, evaluator="model")
    explanation = explain(decision, PACK)
    for flip in explanation.flips:
        seen: Seen = flip.change.applied(Scene(explanation.seen, None)).seen
        again = conclude(seen.facts, proposed, seen.policy, evaluator="model")
        assert came_to(again) != came_to(decision)
    assert "the evaluator model was asked, not the rules" in dict(told(explanation))["Why notify_ops"]
