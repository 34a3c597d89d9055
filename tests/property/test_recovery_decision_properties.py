"""A decision depends on its candidate and nothing else, and stays within its bounds."""

from dataclasses import replace
from datetime import timedelta
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from m10actors.recovery.actions import SEEDED_ACTIONS
from m10actors.recovery.confidence import Cases, confidence
from m10actors.recovery.decision import Candidate, Decision, History, Policy, Reason, decide

fragments = st.sampled_from(
    ["TIMEOUT", "429", "500", "1500", "QUOTA_EXCEEDED", "AUTH", "DNS", "UNKNOWN", "PARSE", "_", "E", "x", " ", "é"]
)
codes = st.lists(fragments, min_size=1, max_size=5).map("".join) | st.text(max_size=20)
outcomes = st.lists(
    st.tuples(st.booleans(), st.timedeltas(min_value=timedelta(days=-1), max_value=timedelta(days=4_000))), max_size=12
)
histories = st.dictionaries(st.sampled_from(sorted(SEEDED_ACTIONS)), outcomes, max_size=4).map(
    lambda by_action: History(tuple(Cases.of(action, cases) for action, cases in by_action.items()))
)
candidates = st.builds(
    Candidate,
    id=st.integers(1, 2**62),
    generation=st.integers(1, 1_000),
    error_code=codes,
    error_message=st.text(max_size=30),
    source=st.just("api"),
    fingerprint=st.just("f"),
    occurrence_count=st.integers(1, 10_000),
    since_executed=st.none() | st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=1)),
)
policies = st.builds(
    Policy,
    auto_execute=st.booleans(),
    min_confidence=st.floats(0, 1),
    auto_confidence=st.floats(0, 1),
    destinations_for=st.frozensets(st.sampled_from(sorted(SEEDED_ACTIONS))),
    evaluator_enabled=st.booleans(),
)


def decided(batch: list[tuple[Candidate, History]], policy: Policy) -> list[Decision]:
    return [decide(candidate, history, SEEDED_ACTIONS, policy) for candidate, history in batch]


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


@given(st.lists(st.tuples(candidates, histories), max_size=8), policies, st.integers(0, 8), st.randoms())
def test_neither_the_cut_of_a_batch_nor_its_order_changes_a_decision(
    batch: list[tuple[Candidate, History]], policy: Policy, cut: int, random: Random
) -> None:
    whole = decided(batch, policy)
    assert decided(batch[:cut], policy) + decided(batch[cut:], policy) == whole
    order = random.sample(range(len(batch)), len(batch))
    assert decided([batch[index] for index in order], policy) == [whole[index] for index in order]


@given(candidates, histories, policies)
def test_the_message_is_no_ground_for_a_decision(candidate: Candidate, history: History, policy: Policy) -> None:
    other = replace(candidate, error_message="another", id=7, generation=9)
    assert decided([(candidate, history)], policy) == decided([(other, history)], policy)


@given(outcomes)
def test_the_confidence_of_history_is_none_or_within_a_tenth_and_1(cases: list[tuple[bool, timedelta]]) -> None:
    sure = confidence(Cases.of("x", cases))
    assert sure is None or 0.1 <= sure <= 1.0
