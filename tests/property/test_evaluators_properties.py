"""Chains of evaluators: how a batch is cut changes nothing, and what an evaluator does costs only its candidates."""

import itertools
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from m10actors.evaluation import Rules
from m10actors.evaluators import Candidate, Facts, History, Later, Proposal
from m10actors.evaluators.chain import BY_RULES, Chain, Decided, Outcome, Step
from m10actors.evaluators.run import run
from m10actors.recovery.actions import SEEDED_ACTIONS
from m10actors.recovery.gates import Policy

CODES = ("TIMEOUT", "HTTP_503", "UNKNOWN", "ODD", "")
JUDGE = Rules(Policy(auto_execute=True, destinations_for=frozenset(SEEDED_ACTIONS)), {}).judge()


class Raises(Exception):
    """What a bad evaluator raises."""


class Table:
    """Does for each candidate what its table says, whoever else is in the batch."""

    def __init__(self, table: dict[int, Any]) -> None:
        self._table = table

    def evaluate(self, batch: Sequence[Facts]) -> Iterator[Any]:
        for facts in batch:
            match self._table.get(facts.candidate.id):
                case None:
                    continue
                case "raise":
                    raise Raises
                case "twice":
                    yield from [Proposal(facts.candidate.id, "skip_task", 0.5)] * 2
                case "later":
                    yield Later(facts.candidate.id, timedelta(0))
                case "stranger":
                    yield Proposal(-1, "skip_task", 0.5)
                case (action, confidence):
                    yield Proposal(facts.candidate.id, action, confidence)


behaviours = st.one_of(
    st.none(),
    st.sampled_from(["raise", "twice", "later", "stranger"]),
    st.tuples(st.sampled_from([*SEEDED_ACTIONS, "unknown", ""]), st.floats(-0.5, 1.5) | st.just(float("nan"))),
)
tables = st.dictionaries(st.integers(1, 12), behaviours)
steps = st.builds(
    Step,
    name=st.sampled_from(["a", "b", "c"]),
    evaluator=st.builds(Table, tables),
    batch_size=st.integers(1, 5),
    leased=st.just(False) | st.booleans(),
    abstains=st.booleans(),
)
chains = st.lists(steps | st.just(BY_RULES.steps[0]), max_size=4, unique_by=lambda step: step.name)


def facts(number: int, code: str, count: int) -> Facts:
    candidate = Candidate(number, 1, code, "", "", "", count, datetime(2026, 1, 1, tzinfo=UTC))
    return Facts(candidate, History(), SEEDED_ACTIONS)


batches = st.lists(st.tuples(st.sampled_from(CODES), st.integers(1, 20)), max_size=12).map(
    lambda made: [facts(number, code, count) for number, (code, count) in enumerate(made, 1)]
)


def meaning(outcomes: dict[int, Outcome]) -> dict[int, object]:
    """Without how long it took."""
    return {
        candidate_id: outcome.decision if isinstance(outcome, Decided) else outcome
        for candidate_id, outcome in outcomes.items()
    }


@given(chains, batches, st.lists(st.integers(1, 12)), st.randoms())
def test_how_a_batch_is_cut_and_in_which_order_changes_nothing(
    chain: list[Step], batch: list[Facts], cuts: list[int], random: Any
) -> None:
    found = Chain(tuple(chain))
    whole = meaning(run(found, batch, JUDGE, lambda: None))
    shuffled = random.sample(batch, len(batch))
    bounds = [0, *sorted({cut for cut in cuts if cut < len(batch)}), len(batch)]
    pieces: dict[int, object] = {}
    for first, last in itertools.pairwise(bounds):
        pieces |= meaning(run(found, shuffled[first:last], JUDGE, lambda: None))
    assert pieces == whole


@given(chains, batches)
def test_every_candidate_has_one_outcome_whatever_the_evaluators_do(chain: list[Step], batch: list[Facts]) -> None:
    outcomes = run(Chain(tuple(chain)), batch, JUDGE, lambda: None)
    assert outcomes.keys() == {each.candidate.id for each in batch}
    for outcome in outcomes.values():
        if isinstance(outcome, Decided):
            assert 0 <= outcome.decision.confidence <= 1
