"""What a message of W2 and of W5 costs the engine's own process with this Python: `python -m bench.processor`.

Processor time says what a rate on a shared machine cannot. It is that of all threads but the one that waits for the
end, which only asks. Servers, and loops by hand, are not in it.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from bench.evaluators import Trivial, asked
from bench.stage import Stage
from m10actors.testing import account

MESSAGES = 10_000


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.processor", description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="of each, in turn; the least is told (default 5)")
    parser.add_argument("--count", type=int, default=MESSAGES, help="messages in a run (default 10,000)")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="m10-") as folder, Stage(Path(folder)) as stage:
        taken = list(zip(*(costs(stage, given.count) for _ in range(given.runs)), strict=True))
    print(python())
    for name, runs in zip(("W2", "W5"), taken, strict=True):
        cost, rate = min(cost for cost, _ in runs), max(rate for _, rate in runs)
        print(f"{name}: {cost:.1f} µs of processor time a message, at most {rate:,.0f} messages/s")


def costs(stage: Stage, count: int) -> Iterator[tuple[float, float]]:
    """(µs of processor time a message, messages a second) of W2, then of W5."""
    yield _cost(stage, count, stage.configured(asked(Trivial)))
    yield _cost(stage, count, nullcontext())


def python() -> str:
    """This interpreter, and whether its threads run one at a time."""
    is_locked = getattr(sys, "_is_gil_enabled", lambda: True)()
    return f"Python {sys.version.split()[0]}, {'with' if is_locked else 'without'} the GIL"


def _cost(stage: Stage, count: int, settings: AbstractContextManager[None]) -> tuple[float, float]:
    stage.announce(stage.due(count))
    with stage.without_delivery(), settings:
        before = _of_other_threads()
        rate = stage.rate(count, lambda: account.is_evaluated(stage.parts.ops))
        cost = _of_other_threads() - before
    stage.forget(events=count)
    return cost / count * 1e6, rate


def _of_other_threads() -> float:
    return time.process_time() - time.thread_time()


if __name__ == "__main__":
    main()
