"""`make stress`: SIGTERM at a random millisecond after exec, again and again, with work waiting; then the account.

Whenever it comes, the process ends with 0 within the grace period and leaves nothing behind. Only while Python itself
is loaded (some 20 ms) nothing can answer: a process that the signal ended there had not come to a line of ours.
"""

import argparse
import json
import random
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import timedelta
from itertools import islice
from pathlib import Path

from m10actors.hints import Hints
from m10actors.ingest import Ingest
from m10actors.instance import known
from m10actors.postgres.pool import Database
from m10actors.recovery.dependency import Dependency
from m10actors.recovery.failure import parse
from m10actors.streams import RedisClient, StreamNames, StreamProducer
from m10actors.testing import account
from m10actors.testing.campaign import Stage, failures
from m10actors.testing.waiting import eventually

LATEST_SECONDS = 1.5
"""By then the process works, unless the machine is slow; most rounds hit it while it starts."""
UNHEARD = -signal.SIGTERM


@dataclass(frozen=True, slots=True)
class Result:
    """What became of the rounds, and the account of the failures that were waiting in them."""

    seed: int
    rounds: int
    ended_with_0: int
    before_any_handler: int
    others: tuple[int, ...]
    slowest_seconds: float
    left_behind: int
    sent: int
    occurrences: int
    evaluated_twice: int
    published_twice: int
    never_received: int
    received_twice: int

    @property
    def sound(self) -> bool:
        return (
            not self.others
            and self.ended_with_0 > 0
            and self.occurrences == self.sent
            and not (self.left_behind or self.evaluated_twice or self.published_twice or self.never_received)
        )

    def __str__(self) -> str:
        return json.dumps(asdict(self) | {"sound": self.sound})


def run(folder: Path, *, seed: int, rounds: int, each: int = 40) -> Result:
    """`each` failures are ingested before each round, so that there is always something in hand."""
    chance = random.Random(seed)
    waiting = threading.Event()
    codes, slowest, left_behind = [], 0.0, 0
    items = failures()
    with Stage(folder, {"intake.sweep_after": "2s"}) as stage, _door(stage) as ingest:
        [engine] = stage.engines
        for _ in range(rounds):
            ingest.accept([parse(item) for item in islice(items, each)], "stress")
            pid = engine.launch()
            waiting.wait(chance.uniform(0, LATEST_SECONDS))
            began = time.monotonic()
            codes.append(engine.stop())
            slowest = max(slowest, time.monotonic() - began)
            left_behind += sum(one.worker.split(":")[1] == str(pid) for one in known(engine.run_dir))
        engine.start()
        eventually(lambda: account.is_settled(stage.ops), within=90, every=0.1)
        codes.append(engine.stop())
        stores, received = account.stores(stage.ops), account.deliveries(stage.ops, stage.receiver.ledger)
    return Result(
        seed=seed,
        rounds=rounds,
        ended_with_0=codes.count(0),
        before_any_handler=codes.count(UNHEARD),
        others=_others(codes),
        slowest_seconds=round(slowest, 2),
        left_behind=left_behind,
        sent=rounds * each,
        occurrences=stores.occurrences,
        evaluated_twice=stores.evaluated_twice,
        published_twice=stores.published_twice,
        never_received=len(received.never_received),
        received_twice=len(received.received_twice),
    )


def _others(codes: Sequence[int]) -> tuple[int, ...]:
    return tuple(code for code in codes if code not in {0, UNHEARD})


@contextmanager
def _door(stage: Stage) -> Iterator[Ingest]:
    """Ingest that needs no process."""
    redis = RedisClient(stage.redis_url, timeout=timedelta(seconds=2))
    try:
        with Database(stage.urls["app"], name="stress", size=1) as database:
            yield Ingest(database, Hints(StreamProducer(redis, StreamNames()), database, Dependency("redis"), 100_000))
    finally:
        redis.close()


def main() -> None:
    """SIGTERM at random milliseconds; exit code 0 only if every process ended well and the account balances."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=200)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="m10-") as folder:
        result = run(Path(folder), seed=given.seed, rounds=given.rounds)
    print(result)  # noqa: T201
    sys.exit(0 if result.sound else 1)


if __name__ == "__main__":
    main()
