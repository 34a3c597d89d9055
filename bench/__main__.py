"""Prints the table and writes bench/results.json. Figures only: nothing is asserted on a shared machine."""

import json
import statistics
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.stage import Stage
from bench.workloads import Rate, deliveries, evaluations, ingest

RUNS = 5


@dataclass(frozen=True, slots=True)
class Figure:
    """One workload: rates of the engine and of the limit, taken in turn; `ratio` is that of their medians."""

    name: str
    unit: str
    ours: float
    limit: float
    ratio: float
    runs: list[tuple[float, float]]


def measured(name: str, unit: str, pair: tuple[Rate, Rate]) -> Figure:
    """RUNS runs of each, in turn, so that both meet the same weather."""
    ours, limit = pair
    runs = [(ours(), limit()) for _ in range(RUNS)]
    left, right = statistics.median(run[0] for run in runs), statistics.median(run[1] for run in runs)
    return Figure(name, unit, round(left, 1), round(right, 1), round(left / right, 3), runs)


WORKLOADS = (
    ("W5 rules, provenance, outbox", "evaluations/s", evaluations),
    ("W6 ingest in batches", "failures/s", ingest),
    ("W7 signed deliveries", "deliveries/s", deliveries),
)


def main() -> None:
    figures = []
    for name, unit, workload in WORKLOADS:
        with tempfile.TemporaryDirectory(prefix="m10-") as folder, Stage(Path(folder)) as stage:
            figures.append(measured(name, unit, workload(stage)))
    print(f"{'workload':<32}{'unit':<16}{'ours':>9}{'limit':>9}{'ratio':>7}   ours, min to max")
    for figure in figures:
        rates = [run[0] for run in figure.runs]
        row = f"{figure.name:<32}{figure.unit:<16}{figure.ours:>9,.0f}{figure.limit:>9,.0f}{figure.ratio:>7.2f}"
        print(f"{row}   {min(rates):,.0f} to {max(rates):,.0f}")
    Path("bench/results.json").write_text(json.dumps([asdict(figure) for figure in figures], indent=2) + "\n")


if __name__ == "__main__":
    main()
