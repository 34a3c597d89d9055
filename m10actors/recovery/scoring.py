"""What the matched rules add up to."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from m10actors.recovery.rules import RuleMatch

TOP_SCORES = 3


class Score(NamedTuple):
    """`total`: the mean of the best three scores. `confidence`: that with the adjustments, within 0 .. 1. Both have
    four decimals, so that no sum misses a threshold by the last bit of a float.
    """

    total: float
    confidence: float


@dataclass(frozen=True, slots=True)
class Standing:
    """One of the actions that were proposed: the best score of its rules, by which actions are ranked, and what its own
    rules alone would add up to.
    """

    action: str
    best: float
    score: Score
    rules: tuple[str, ...]


def score(matched: Sequence[RuleMatch]) -> Score:
    """Of matches in their order, best score first; nothing of none."""
    if not matched:
        return Score(0.0, 0.0)
    best = [match.score for match in matched[:TOP_SCORES]]
    total = sum(best) / len(best)
    adjusted = total + sum([match.adjustment for match in matched])
    return Score(round(total, 4), round(min(1.0, max(0.0, adjusted)), 4))


def standings(matched: Sequence[RuleMatch]) -> tuple[Standing, ...]:
    """Every proposed action, in its rank: the first is the one that is proposed, the second the runner-up."""
    by_action: dict[str, list[RuleMatch]] = defaultdict(list)
    for match in matched:
        by_action[match.action].append(match)
    return tuple(
        Standing(action, own[0].score, score(own), tuple(match.rule for match in own))
        for action, own in by_action.items()
    )
