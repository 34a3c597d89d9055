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
from concurrent.futures import ThreadPoolExecutor
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
from m10actors.testing.campaign import Engine, Stage, failures
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


@dataclass(frozen=True, slots=True)
class Round:
    """How one process ended, in how many seconds, and whether it left anything behind."""

    code: int
    seconds: float
    left_behind: bool


def run(folder: Path, *, seed: int, rounds: int, each: int = 40, at_once: int = 4) -> Result:
    """`each` failures are ingested before each round, so that there is always something in hand; `at_once` processes
    play, as on so many hosts.
    """
    items = failures()
    batches = [list(islice(items, each)) for _ in range(rounds)]
    with Stage(folder, {"intake.sweep_after": "2s"}, engines=at_once) as stage, door(stage) as ingest:
        with ThreadPoolExecutor(at_once) as players:
            playing = [
                players.submit(_play, engine, ingest, batches[number::at_once], random.Random(seed * at_once + number))
                for number, engine in enumerate(stage.engines)
            ]
        played = [one for player in playing for one in player.result()]
        last, *_ = stage.engines
        last.start()
        eventually(lambda: account.is_settled(stage.ops), within=90, every=0.1)
        codes = [*(one.code for one in played), last.stop()]
        stores, received = account.stores(stage.ops), account.deliveries(stage.ops, stage.receiver.ledger)
    return Result(
        seed=seed,
        rounds=rounds,
        ended_with_0=codes.count(0),
        before_any_handler=codes.count(UNHEARD),
        others=_others(codes),
        slowest_seconds=round(max(one.seconds for one in played), 2),
        left_behind=sum(one.left_behind for one in played),
        sent=rounds * each,
        occurrences=stores.occurrences,
        evaluated_twice=stores.evaluated_twice,
        published_twice=stores.published_twice,
        never_received=len(received.never_received),
        received_twice=len(received.received_twice),
    )


def _play(
    engine: Engine, ingest: Ingest, batches: Sequence[list[dict[str, object]]], chance: random.Random
) -> list[Round]:
    """One round for each batch."""
    waiting, played = threading.Event(), []
    for batch in batches:
        ingest.accept([parse(item) for item in batch], "stress")
        pid = engine.launch()
        waiting.wait(chance.uniform(0, LATEST_SECONDS))
        began = time.monotonic()
        code = engine.stop()
        left = any(one.worker.split(":")[1] == str(pid) for one in known(engine.run_dir))
        played.append(Round(code, time.monotonic() - began, left))
    return played


def _others(codes: Sequence[int]) -> tuple[int, ...]:
    return tuple(code for code in codes if code not in {0, UNHEARD})


@contextmanager
def door(stage: Stage) -> Iterator[Ingest]:
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
