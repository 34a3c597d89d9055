"""How much past cases of an action are worth: recent ones more than old ones."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from math import fsum

HALF_LIFE = timedelta(days=30)
WEIGHTED_SHARE = 0.7
BASIC_SHARE = 0.3
MIN_CASES = 3
MIN_STORED = 0.1


@dataclass(frozen=True, slots=True)
class Cases:
    """The past cases of one action for one kind of failure.

    `matches` and `successes` count the cases; `weighted_rate` is successes per case, each counted with its weight by
    age, 0 .. 1 with six decimals; `weight` is what all of them weigh, with four.
    """

    action: str
    matches: int
    successes: int
    weighted_rate: float
    weight: float

    @classmethod
    def of(cls, action: str, outcomes: Iterable[tuple[bool, timedelta]]) -> "Cases":
        """From (succeeded, age) of each case, in any order."""
        weighed = [(succeeded, weight(age)) for succeeded, age in outcomes]
        whole = fsum(each for _, each in weighed)
        good = fsum(each for succeeded, each in weighed if succeeded)
        return cls(
            action=action,
            matches=len(weighed),
            successes=sum(succeeded for succeeded, _ in weighed),
            weighted_rate=round(good / whole, 6) if whole > 0 else 0.0,
            weight=round(whole, 4),
        )

    def and_more(self, helped: bool, count: int) -> "Cases":
        """With so many more cases of now, which helped or did not."""
        whole = self.weight + count
        good = self.weighted_rate * self.weight + (count if helped else 0)
        return Cases(
            action=self.action,
            matches=self.matches + count,
            successes=self.successes + (count if helped else 0),
            weighted_rate=round(good / whole, 6),
            weight=round(whole, 4),
        )


def weight(age: timedelta) -> float:
    """1 for a case of now, half of it every 30 days; an age below zero (a clock that was set) counts as now."""
    return float(0.5 ** (max(age, timedelta(0)) / HALF_LIFE))


def basic_rate(cases: Cases) -> float:
    """Successes per case, 0 .. 1."""
    return cases.successes / cases.matches if cases.matches else 0.0


def confidence(cases: Cases) -> float | None:
    """.7 × weighted + .3 × basic, 0 .. 1; None for fewer than 3 cases and for what would be under 0.1."""
    if cases.matches < MIN_CASES:
        return None
    blended = round(WEIGHTED_SHARE * cases.weighted_rate + BASIC_SHARE * basic_rate(cases), 4)
    return blended if blended >= MIN_STORED else None
