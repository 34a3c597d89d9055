"""The part of a record that a batch shares: told by its content, made once."""

from dataclasses import replace
from datetime import UTC, datetime

from msgspec import structs

from m10actors.recovery.actions import SEEDED_ACTIONS
from m10actors.recovery.contexts import Contexts
from m10actors.recovery.decision import Decision, decide
from m10actors.recovery.facts import NO_HISTORY, Candidate
from m10actors.recovery.gates import Policy
from m10actors.recovery.rules import CONTRACT_RULES, Ruleset

CANDIDATE = Candidate(1, 1, "TIMEOUT", "late", "api", "f", 5, datetime(2026, 1, 5, tzinfo=UTC))
POLICY = Policy(destinations_for=frozenset({"notify_ops"}))


def decided(policy: Policy = POLICY, rules: Ruleset = CONTRACT_RULES, nth: int = 1) -> Decision:
    return decide(structs.replace(CANDIDATE, id=nth), NO_HISTORY, SEEDED_ACTIONS, policy, rules)


def test_a_record_is_its_own_part_and_the_context() -> None:
    decision = decided()
    assert decision.own() | decision.context() == decision.record()
    assert decision.own().keys() & decision.context().keys() == set()


def test_a_batch_has_one_context_for_the_same_rules_actions_and_policy() -> None:
    contexts = Contexts()
    digests = {contexts.digest(decided(nth=nth)) for nth in range(1, 4)}
    assert contexts.by_digest == dict.fromkeys(digests, decided().context())
    assert len(digests) == 1


def test_the_digest_is_that_of_the_content_whoever_asks() -> None:
    policy = Policy(destinations_for=frozenset(["notify_ops"]))
    assert policy is not POLICY
    assert Contexts().digest(decided()) == Contexts().digest(decided(policy))
    others = [decided(replace(POLICY, min_confidence=0.4)), decided(rules=Ruleset(CONTRACT_RULES.rules[1:]))]
    assert len({Contexts().digest(each) for each in (decided(), *others)}) == 3


def test_a_decision_of_which_nobody_said_what_it_saw_has_none() -> None:
    contexts = Contexts()
    assert contexts.digest(structs.replace(decided(), seen=None)) == ""
    assert contexts.by_digest == {}
