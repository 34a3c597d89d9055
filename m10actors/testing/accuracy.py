"""How often rules propose the right action, and what their confidence is worth.

`python -m m10actors.testing.accuracy` decides the labelled failures, each seen once and without past cases, by the ten
rules alone and by the shipped file, and prints for both halves of the sample and for failures from elsewhere

- top-1: the part of the failures for which the proposed action is the right one; nothing proposed is not right;
- Brier score (Brier 1950, over all actions): the sum over the seven actions of (probability - 1 if right else 0)², the
  mean of that over the failures. The proposed action has the confidence as its probability, the others share the rest
  evenly; with nothing proposed all seven are equal. 0 is best, 2 worst, 0.857 what nothing proposed gets;
- proposed: for how many something was proposed, and among those the mean confidence beside the part that was right:
  equal where the confidence means what it says.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from m10actors.recovery.actions import SEEDED_ACTIONS
from m10actors.recovery.rules import CONTRACT_RULES, Ruleset
from m10actors.rulebook import load
from m10actors.rulebook.cases import Outcome, outcomes, read_cases
from m10actors.shipped import shipped

LABELLED: Final = Path(__file__).parent / "labelled"
HALVES: Final = ("tuning", "held_out")
"""Of the failures of the shipped sample."""
ELSEWHERE: Final = "elsewhere"
"""Failures of Java and Node, which the sample has none of."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What rules come to on labelled failures. All but the counts are 0 .. 1, `brier` 0 .. 2."""

    failures: int
    top_1: float
    brier: float
    proposed: int
    mean_confidence: float
    right_of_proposed: float


def main() -> int:
    """Prints the figures; 0 if the shipped file is better than the ten rules in both, on each set."""
    _print("rules", "set", "failures", "top-1", "Brier", "proposed", "confidence", "right")
    shipped_rules, better = load(shipped("config/rules.toml")), True
    for half in (*HALVES, ELSEWHERE):
        ten, ours = figures(CONTRACT_RULES, half), figures(shipped_rules, half)
        for name, found in (("the ten", ten), ("shipped file", ours)):
            _print(
                name, half, found.failures, f"{found.top_1:.1%}", f"{found.brier:.3f}", found.proposed,
                f"{found.mean_confidence:.3f}", f"{found.right_of_proposed:.1%}",
            )  # fmt: skip
        better = better and ours.top_1 > ten.top_1 and ours.brier < ten.brier
    return 0 if better else 1


def figures(rules: Ruleset, half: str) -> Figures:
    """Of one half of the labelled failures."""
    found = list(outcomes(rules, read_cases(LABELLED / f"{half}.toml")))
    proposed = [each for each in found if each.decision.action is not None]
    return Figures(
        failures=len(found),
        top_1=_mean([_is_right(each) for each in found]),
        brier=_mean([_brier(each) for each in found]),
        proposed=len(proposed),
        mean_confidence=_mean([each.decision.confidence for each in proposed]),
        right_of_proposed=_mean([_is_right(each) for each in proposed]),
    )


def _print(*cells: object) -> None:
    sys.stdout.write("".join(f"{cell:<14}" for cell in map(str, cells)).rstrip() + "\n")


def _is_right(outcome: Outcome) -> bool:
    return outcome.decision.action == outcome.case.right_action


def _brier(outcome: Outcome) -> float:
    proposed, sure = outcome.decision.action, outcome.decision.confidence
    if proposed is None:
        proposed, sure = next(iter(SEEDED_ACTIONS)), 1 / len(SEEDED_ACTIONS)
    rest = (1 - sure) / (len(SEEDED_ACTIONS) - 1)
    probabilities = {code: sure if code == proposed else rest for code in SEEDED_ACTIONS}
    return sum((p - (code == outcome.case.right_action)) ** 2 for code, p in probabilities.items())


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


if __name__ == "__main__":
    sys.exit(main())
