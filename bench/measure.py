"""What a workload is, and what becomes of its runs."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from bench.stage import Stage


class Workload(Protocol):
    """The same work twice: by the engine, and by a loop written by hand, which is the limit. Each call is one run: it
    makes its own work beforehand, leaves nothing behind, and returns a value for each of `figures`.
    """

    def __init__(self, stage: Stage, scale: float, /) -> None:
        """`scale`: 1 for the full amount of work."""

    @property
    def figures(self) -> Sequence[tuple[str, str]]:
        """Name and unit of each value."""

    def ours(self) -> Sequence[float]: ...

    def by_hand(self) -> Sequence[float]: ...


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table: medians of the runs, and `ratio`, ours to the limit. `runs`: [ours, limit] of each."""

    name: str
    unit: str
    ours: float
    limit: float
    ratio: float
    runs: list[tuple[float, float]]


def measured(workload: Workload, runs: int) -> list[Figure]:
    """So many runs of each, in turn, so that both meet the same weather."""
    taken = [(workload.ours(), workload.by_hand()) for _ in range(runs)]
    return [
        _figure(name, unit, [(ours[at], limit[at]) for ours, limit in taken])
        for at, (name, unit) in enumerate(workload.figures)
    ]


def _figure(name: str, unit: str, runs: list[tuple[float, float]]) -> Figure:
    ours, limit = (statistics.median(side) for side in zip(*runs, strict=True))
    return Figure(name, unit, round(ours, 3), round(limit, 3), round(ours / limit, 3), runs)
