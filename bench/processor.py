"""What a message of W2 and of W5 costs, the engine and the loops by hand: `python -m bench.processor`.

Processor time says what a rate on a shared machine cannot. Python's is that of all threads of this process but the one
that waits for the end; the servers' is that of all of their processes, in ticks of the kernel (10 ms).
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path

from bench.effects import deciding, loops_by_hand
from bench.evaluators import Trivial, asked
from bench.stage import Stage
from bench.statements import SAME_ROWS, WITH_PROVENANCE
from bench.words import by_words, trivial
from m10actors.testing import account

MESSAGES = 50_000
SETTLING = 0.3
"""Seconds after which PostgreSQL has heard of the end of its processes, and counts them as its own."""
SIDES = ("W2", "W2 by hand", "W5", "W5 by hand")


@dataclass(frozen=True, slots=True)
class Cost:
    """Of a message, in µs; `rate`: messages a second."""

    python: float
    postgres: float
    valkey: float
    rate: float

    @property
    def whole(self) -> float:
        return self.python + self.postgres + self.valkey


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.processor", description=__doc__)
    parser.add_argument("--runs", type=int, default=3, help="of each, in turn; the cheapest is told (default 3)")
    parser.add_argument("--count", type=int, default=MESSAGES, help="messages in a run (default 50,000)")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="m10-") as folder, Stage(Path(folder)) as stage:
        runs = [costs(stage, given.count) for _ in range(given.runs)]
    print(f"{python()}\n{'µs a message':<14}{'Python':>9}{'PostgreSQL':>12}{'Valkey':>9}{'cores':>8}{'messages/s':>12}")
    for side, taken in zip(SIDES, zip(*runs, strict=True), strict=True):
        cost = min(taken, key=lambda each: each.whole)
        cores = cost.whole * cost.rate / 1e6
        print(f"{side:<14}{cost.python:>9.1f}{cost.postgres:>12.1f}{cost.valkey:>9.1f}{cores:>8.2f}{cost.rate:>12,.0f}")


def costs(stage: Stage, count: int) -> list[Cost]:
    """Of each of SIDES."""

    def by_engine(settings: AbstractContextManager[None]) -> Cost:
        with stage.without_delivery(), settings:
            return _cost(stage, count, lambda: stage.rate(count, lambda: account.is_evaluated(stage.parts.ops)))

    return [
        by_engine(stage.configured(asked(Trivial))),
        _cost(stage, count, lambda: loops_by_hand(stage, count, deciding(trivial, SAME_ROWS))),
        by_engine(nullcontext()),
        _cost(stage, count, lambda: loops_by_hand(stage, count, deciding(by_words, WITH_PROVENANCE))),
    ]


def python() -> str:
    """This interpreter, and whether its threads run one at a time."""
    is_locked = getattr(sys, "_is_gil_enabled", lambda: True)()
    return f"Python {sys.version.split()[0]}, {'with' if is_locked else 'without'} the GIL"


def _cost(stage: Stage, count: int, run: Callable[[], float]) -> Cost:
    stage.announce(stage.due(count))
    before = _taken(stage)
    rate = run()
    time.sleep(SETTLING)
    python, postgres, valkey = (late - early for early, late in zip(before, _taken(stage), strict=True))
    stage.forget(events=count)
    return Cost(python / count * 1e6, postgres / count * 1e6, valkey / count * 1e6, rate)


def _taken(stage: Stage) -> tuple[float, float, float]:
    return _of_other_threads(), _of_server(stage, "postgres"), _of_server(stage, "valkey")


def _of_other_threads() -> float:
    return time.process_time() - time.thread_time()


def _of_server(stage: Stage, name: str) -> float:
    """Seconds of its processes, which run in its data folder, and of their children that have ended (proc(5))."""
    ticks = 0
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            folder = (process / "cwd").readlink()
            if folder.is_relative_to(stage.folder.resolve()) and folder.name == name:
                ticks += sum(map(int, (process / "stat").read_text().rpartition(") ")[2].split()[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
