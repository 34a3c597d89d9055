"""`python -m m10actors.testing.states`: every step of a candidate's life at random, by many at once; then the account.

Failures come in, are taken, evaluated, decided, delivered, told of, sent again and replayed, other programs write by
hand, and jobs look after it all: on few candidates, so that every pair of steps meets. PostgreSQL looks for deadlocks
after 50 ms, and counts them: there are to be none.
"""

import argparse
import json
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg

from m10actors.embedded import EmbeddedServers
from m10actors.postgres import executions, integrity
from m10actors.postgres.errors import LeaseLost, StoreError
from m10actors.postgres.migrate import create_database, migrate
from m10actors.shipped import shipped
from m10actors.testing.database import MigratedDatabase
from m10actors.testing.state_steps import CAP, SILENT, Step, World
from m10actors.testing.waiting import eventually

DATABASE = "states"
DELETED = "death_without_dead_letter"
"""What cannot be asked here: dead letters are deleted when they are some seconds old."""
SETTINGS = {
    "reopen_after": "200 ms",
    "result_timeout": "300 ms",
    "verify_window": "1 s",
    "recheck_thresholds": [2, 3, 5, 8, 13, 21, 34, 55, 89],
    "autonomy": {"auto_execute": True, "limits": {"source": CAP}},
}
ILLEGAL_MOVE = "M1004"
FAULTS = Path(__file__).with_suffix(".sql").read_bytes()
OCCURRENCES = b"""
SELECT coalesce((SELECT sum(occurrence_count) FROM public.recovery_candidates), 0)
     + coalesce((SELECT sum(occurrence_count) FROM m10_recovery.recovery_candidates_archive), 0)
"""
DEADLOCKS = b"SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
OTHERS = b"SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"


@dataclass(frozen=True, slots=True)
class Result:
    """`steps`: how many of each were made; `errors`: what surfaced that nobody expects; `faults`: what must not be."""

    seed: int
    steps: Mapping[str, int]
    deadlocks: int
    errors: tuple[str, ...]
    faults: Mapping[str, int]
    sent: int
    counted: int

    @property
    def sound(self) -> bool:
        return not (self.deadlocks or self.errors or self.faults) and self.sent == self.counted

    def __str__(self) -> str:
        return json.dumps(asdict(self) | {"sound": self.sound})


def run(
    database: MigratedDatabase, *, seed: int, players: int, seconds: float, rounds: int | None = None, known: int = 60
) -> Result:
    """`players` threads on `known` failures, for so long, or `rounds` steps each if that comes first."""
    chances = [random.Random(seed * players + number) for number in range(players)]
    with database.connect("superuser") as sql:
        sql.execute(f"ALTER DATABASE {database.name} SET deadlock_timeout = '50ms'")
        sql.execute("SELECT m10_recovery.configure(%s::jsonb)", [json.dumps(SETTINGS)])
    with database.pool("app", size=players) as app, database.pool("ops", size=players) as ops:
        world = World(app, ops, [UUID(int=chances[0].getrandbits(128)) for _ in range(known)])
        world.begin()
        journal, until = Journal(), time.monotonic() + seconds
        with ThreadPoolExecutor(players) as threads:
            playing = [threads.submit(_play, database, world, journal, chance, until, rounds) for chance in chances]
        for each in playing:
            each.result()
        while executions.resolve(ops, "states", 1000) != executions.Resolved(0, 0, 0):
            pass
        with database.connect("superuser") as sql:
            faults = dict(sql.execute(FAULTS, {"cap": CAP}).fetchall())
        faults |= {
            found.invariant.name: max(1, len(found.broken_by))
            for found in integrity.check(database.url("ops"), silent=[SILENT], grace=timedelta(0))
            if not found.holds and found.invariant.name != DELETED
        }
        ops.value("archive_candidates", {"older_than": timedelta(0), "limit": 10_000})
    with database.connect("superuser") as sql:
        eventually(lambda: _number(sql, OTHERS) == 0)  # each has counted its deadlocks then
        return Result(
            seed=seed,
            steps=dict(journal.made),
            deadlocks=_number(sql, DEADLOCKS),
            errors=tuple(f"{count} × {name}" for name, count in journal.errors.most_common()),
            faults={name: count for name, count in faults.items() if count},
            sent=world.sent,
            counted=_number(sql, OCCURRENCES),
        )


class Journal:
    """What was done, by all threads. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.made: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()

    def note(self, step: str, error: str | None) -> None:
        with self._lock:
            self.made[step] += 1
            if error is not None:
                self.errors[f"{step}: {error}"] += 1


def _play(
    database: MigratedDatabase, world: World, journal: Journal, chance: random.Random, until: float, rounds: int | None
) -> None:
    steps, weights = list(world.steps), list(world.steps.values())
    with psycopg.connect(database.url("superuser"), autocommit=True) as sql:
        while time.monotonic() < until and rounds != 0:
            rounds = None if rounds is None else rounds - 1
            [step] = chance.choices(steps, weights)
            journal.note(step.__name__, _error(step, chance, sql))


def _error(step: Step, chance: random.Random, sql: psycopg.Connection[Any]) -> str | None:
    """What surfaced, if nobody expects it."""
    try:
        step(chance, sql)
    except LeaseLost:
        return None
    except (StoreError, psycopg.Error) as error:
        return None if error.sqlstate == ILLEGAL_MOVE else str(error).splitlines()[0]
    return None


def _number(sql: psycopg.Connection[Any], query: bytes) -> int:
    found = sql.execute(query).fetchone()
    return int(found[0]) if found else 0


def main() -> None:
    """Everything at once, on a server of its own; exit code 0 only if nothing surfaced and all of it adds up."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--players", type=int, default=12)
    parser.add_argument("--seconds", type=float, default=60.0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="m10-") as folder, ExitStack() as undo:
        servers = EmbeddedServers(Path(folder))
        undo.callback(servers.stop)
        addresses = servers.start()
        create_database(addresses.postgres_superuser_url, DATABASE)
        migrate(addresses.postgres_url("postgres", DATABASE), shipped("schema"))
        database = MigratedDatabase(addresses, DATABASE, undo)
        result = run(database, seed=given.seed, players=given.players, seconds=given.seconds)
    print(result)  # noqa: T201
    sys.exit(0 if result.sound else 1)


if __name__ == "__main__":
    main()
