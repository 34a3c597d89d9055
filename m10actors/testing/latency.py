"""From the answer to an ingest call until the delivery that it leads to comes in, one after another, in one process.

`python -m m10actors.testing.latency --count 200` prints p50, p99 and max in milliseconds, as JSON.
"""

import argparse
import json
import tempfile
import threading
import time
from math import ceil
from pathlib import Path
from uuid import uuid4

from m10actors.testing.campaign import Stage
from m10actors.testing.receiver import TAKEN, Answer, Request

WARM_UP = 20


def measured(folder: Path, count: int) -> list[float]:
    """Milliseconds of each, in rising order; negative where the delivery was faster than the answer."""
    came, at = threading.Event(), [0.0]

    def answer(_: Request) -> Answer:
        at[0] = time.monotonic()
        came.set()
        return TAKEN

    times = []
    with Stage(folder) as stage:
        stage.receiver.answer = answer
        stage.start()
        for number in range(WARM_UP + count):
            came.clear()
            item: dict[str, object] = {
                "failure_match_id": str(uuid4()),
                "failure_payload": {"error_type": "TIMEOUT", "raw": f"no answer {number}"},
                "idempotency_key": str(uuid4()),
                "source": "latency",
            }
            if not stage.post([item]):
                raise RuntimeError(f"the engine took nothing:\n{stage.log_tail()}")
            answered = time.monotonic()
            if not came.wait(20):
                raise RuntimeError(f"nothing was delivered:\n{stage.log_tail()}")
            times.append((at[0] - answered) * 1000)
    return sorted(times[WARM_UP:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=200)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="m10-") as folder:
        times = measured(Path(folder), given.count)
    p50, p99 = (times[max(0, ceil(len(times) * part) - 1)] for part in (0.5, 0.99))
    shown = {"count": len(times), "p50_ms": round(p50, 1), "p99_ms": round(p99, 1), "max_ms": round(times[-1], 1)}
    print(json.dumps(shown))  # noqa: T201


if __name__ == "__main__":
    main()
