"""How much past cases of an action are worth: recent ones more than old ones."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

HALF_LIFE = timedelta(days=30)
WEIGHTED_SHARE = 0.7
BASIC_SHARE = 0.3
MIN_CASES = 3
MIN_STORED = 0.1


@dataclass(frozen=True, slots=True)
class Cases:
    """The past cases of one action for one kind of failure.

    `matches` and `successes` count the cases; `weight` and `weight_of_successes` are the sums of their weights by age.
    """

    action: str
    matches: int
    successes: int
    weight: float
    weight_of_successes: float

    @classmethod
    def of(cls, action: str, outcomes: Iterable[tuple[bool, timedelta]]) -> "Cases":
        """From (succeeded, age) of each case."""
        weighed = [(succeeded, weight(age)) for succeeded, age in outcomes]
        return cls(
            action=action,
            matches=len(weighed),
            successes=sum(succeeded for succeeded, _ in weighed),
            weight=sum(each for _, each in weighed),
            weight_of_successes=sum(each for succeeded, each in weighed if succeeded),
        )


def weight(age: timedelta) -> float:
    """1 for a case of now, half of it every 30 days; an age below zero (a clock that was set) counts as now."""
    return float(0.5 ** (max(age, timedelta(0)) / HALF_LIFE))


def basic_rate(cases: Cases) -> float:
    """Successes per case, 0 .. 1."""
    return cases.successes / cases.matches if cases.matches else 0.0


def weighted_rate(cases: Cases) -> float:
    """Successes per case, each case counted with its weight, 0 .. 1."""
    return min(1.0, cases.weight_of_successes / cases.weight) if cases.weight > 0 else 0.0


def confidence(cases: Cases) -> float | None:
    """.7 × weighted + .3 × basic, 0 .. 1; None for fewer than 3 cases and for what would be under 0.1."""
    if cases.matches < MIN_CASES:
        return None
    blended = round(WEIGHTED_SHARE * weighted_rate(cases) + BASIC_SHARE * basic_rate(cases), 4)
    return blended if blended >= MIN_STORED else None
