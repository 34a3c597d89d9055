"""`python -m m10actors.testing.replay`: dead letters are replayed by real processes that are killed meanwhile; then the
account.

Half of them are evaluations that were given up, half are events. The verb is killed between its steps, the engine too;
the same words again go on, and once more find nothing to do. In the end every evaluation was decided, and every event
delivered, exactly once more.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path

import psycopg

from m10actors.postgres import locks, outbox
from m10actors.postgres.outbox import OUTBOX_LOCK, Completion
from m10actors.postgres.pool import Database
from m10actors.testing import account
from m10actors.testing.campaign import Stage
from m10actors.testing.campaign.stage import DATABASE
from m10actors.testing.waiting import eventually

SETTINGS: dict[str, object] = {"outbox.poll_interval": "500ms", "intake.sweep_after": "2s"}
PLANT = """
INSERT INTO public.recovery_candidates (failure_match_id, suggestion, error_code, source, fingerprint)
SELECT gen_random_uuid(), '', 'TIMEOUT', 'replay', 'cause ' || mod(n, 10) FROM generate_series(1, %s) n
"""
BURY = """
SELECT count(*)
FROM (SELECT array_agg(id) AS ids, array_agg(gen_random_uuid()::text) AS names, ARRAY[count(*)::int] AS count
      FROM public.recovery_candidates) c,
LATERAL m10_recovery.bury_evaluations('plant', c.names, c.ids, array_fill(1, c.count), NULL,
    array_fill('{}'::jsonb, c.count), array_fill('evaluator_failed: KeyError'::text, c.count))
"""
PUBLISH = """
SELECT m10_recovery.publish_outbox('replayed', n::text, 'webhook:test',
                                   jsonb_build_object('webhook_url', %s::text, 'data', n))
FROM generate_series(1, %s) n
"""
ACCOUNT = """
SELECT (SELECT count(*) FROM public.recovery_candidates
        WHERE (generation, evaluated_generation) = (2, 2) AND evaluation_error IS NULL),
       (SELECT count(*) FROM m10_recovery.outbox WHERE aggregate_type = 'replayed' AND processed_at IS NOT NULL
        AND (SELECT count(*) FROM jsonb_array_elements(attempts) a WHERE a ->> 'outcome' = 'delivered') = 1),
       (SELECT count(*) FROM m10_recovery.replay_log WHERE replayed_at IS NOT NULL),
       (SELECT count(*) FROM m10_recovery.dead_letter_archive WHERE replayed_at IS NULL),
       (SELECT count(*) FROM m10_recovery.replay_run)
"""


@dataclass(frozen=True, slots=True)
class Result:
    """The account. `decided` and `delivered`: once more, and not twice; `replayed`: rows of the replay log; `left`:
    dead letters that nobody replayed; `received_twice` is at-least-once, after a kill of the engine.
    """

    seed: int
    evaluations: int
    events: int
    kills: int
    decided: int
    delivered: int
    replayed: int
    left: int
    runs: int
    evaluated_twice: int
    published_twice: int
    never_received: int
    received_twice: int
    second_replayable: int
    seconds: float

    @property
    def sound(self) -> bool:
        return (
            self.decided == self.evaluations
            and self.delivered == self.events
            and self.replayed == self.evaluations + self.events
            and self.runs == 1
            and not (self.left or self.evaluated_twice or self.published_twice or self.never_received)
            and self.second_replayable == 0
        )

    def __str__(self) -> str:
        return json.dumps(asdict(self) | {"sound": self.sound})


def run(folder: Path, *, count: int, kills: int, seed: int, rate: int = 2000) -> Result:
    """`count` dead letters; the verb dies `kills` times, and with it, the first time, the engine."""
    chance = random.Random(seed)
    with Stage(folder, SETTINGS) as stage:
        evaluations, events = _plant(stage, count)
        stage.start()
        started = time.monotonic()
        for number in range(kills):
            _killed(stage, rate, chance)
            if number == 0:
                stage.kill()
                stage.start()
        _verb(stage, "--yes", "--why", "campaign", "--rate", str(rate))
        eventually(lambda: account.is_settled(stage.ops), within=120, every=0.1)
        seconds = time.monotonic() - started
        again = _verb(stage, "--yes", "--why", "again", "--json")
        stores, received = account.stores(stage.ops), account.deliveries(stage.ops, stage.receiver.ledger)
        with _superuser(stage) as sql:
            decided, delivered, replayed, left, runs = sql.execute(ACCOUNT).fetchone() or (0,) * 5
    return Result(
        seed=seed,
        evaluations=evaluations,
        events=events,
        kills=kills,
        decided=decided,
        delivered=delivered,
        replayed=replayed,
        left=left,
        runs=runs,
        evaluated_twice=stores.evaluated_twice,
        published_twice=stores.published_twice,
        never_received=len(received.never_received) + len(received.phantoms) + len(received.changed),
        received_twice=len(received.received_twice),
        second_replayable=json.loads(again)["replayable"],
        seconds=round(seconds, 1),
    )


def _plant(stage: Stage, count: int) -> tuple[int, int]:
    """Dead letters as the engine writes them, before it runs: how many evaluations, how many events."""
    events = count // 2
    with _superuser(stage) as sql, Database(stage.urls["app"], name="plant", size=1) as app:
        sql.execute(PLANT, [count - events])
        sql.execute(BURY)
        sql.execute(PUBLISH, [stage.receiver.url, events])
        epoch = locks.acquire(app, OUTBOX_LOCK, "plant", timedelta(minutes=5))
        assert epoch is not None, "nobody else is there"
        while claimed := outbox.claim(app, "plant", epoch, 1000):
            outbox.complete(app, "plant", epoch, [Completion(event.id, "dead", "http_400") for event in claimed])
        locks.release(app, OUTBOX_LOCK, "plant", epoch)
    return count - events, events


def _killed(stage: Stage, rate: int, chance: random.Random) -> None:
    """One run of the verb that dies: before or after the hints of one of its first steps."""
    point, nth = chance.choice(["after_items", "after_hints"]), chance.randint(2, 4)
    process = _started(stage, ["--yes", "--why", "campaign", "--rate", str(rate)], f"dlq.replay.{point}:kill:{nth}")
    _, err = process.communicate(timeout=300)
    if process.returncode >= 0:
        raise RuntimeError(f"m10 dlq replay was to be killed, and ended with {process.returncode}:\n{err}")


def _verb(stage: Stage, *words: str) -> str:
    """What the verb says; it has to end well."""
    process = _started(stage, words)
    out, err = process.communicate(timeout=600)
    if process.returncode:
        raise RuntimeError(f"m10 dlq replay ended with {process.returncode}:\n{err}\n{stage.log_tail()}")
    return out


def _started(stage: Stage, words: Sequence[str], failpoints: str = "") -> "subprocess.Popen[str]":
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("M10_", "DATABASE_URL"))}
    if failpoints:
        environ |= {"M10_TESTING": "1", "M10_FAILPOINTS": failpoints}
    command = [sys.executable, "-m", "m10actors", "dlq", "replay", "--all", "-c", str(stage.engines[0].config), *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environ)


def _superuser(stage: Stage) -> psycopg.Connection[tuple[int, ...]]:
    return psycopg.connect(stage.servers.start().postgres_url("postgres", DATABASE), autocommit=True)


def main() -> None:
    """Replays dead letters with kills in between; exit code 0 only if each was decided or delivered once more."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--rate", type=int, default=2000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="m10-") as folder:
        result = run(Path(folder), count=given.count, kills=given.kills, seed=given.seed, rate=given.rate)
    print(result)  # noqa: T201
    sys.exit(0 if result.sound else 1)


if __name__ == "__main__":
    main()
