"""`make soak`: messages without a pause through the whole engine, and what its tables, indexes and memory grow to.

Ingest, evaluation and delivery to a receiver on this machine, with PostgreSQL's fsync on. Of 10 failures that are sent
8 open a candidate, one repeats one that is there, and one comes with a key that was accepted before.
"""

import argparse
import itertools
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from uuid import uuid5

import psycopg

from m10actors.postgres import depths
from m10actors.postgres.pool import Database
from m10actors.recovery.failure import Failure, parse
from m10actors.recovery.fingerprint import NAMESPACE
from m10actors.testing import account
from m10actors.testing.campaign import Stage
from m10actors.testing.growth import MB, Sample, Table, faults, sample
from m10actors.testing.stress import door
from m10actors.testing.waiting import eventually

BATCH = 500
AHEAD = 10_000
"""Evaluations and events that may wait: what is fed is what can be done."""
CODES = ("TIMEOUT", "RATE_LIMITED", "CONNECTION_ERROR", "QUOTA_EXCEEDED")
SETTLED_WITHIN = 300.0


def run(folder: Path, *, count: int, every: int, deliver: bool = True, fsync: bool = True) -> list[Sample]:
    """Sends until `count` candidates are opened, and takes a sample after `every` of them and at the end."""
    samples: list[Sample] = []
    settings = {"decisions.auto_execute": deliver}
    with Stage(folder, settings, fsync=fsync) as stage, door(stage) as ingest, _looking(stage) as sql:
        stage.start()
        process = stage.engines[0].process
        assert process is not None
        began = time.monotonic()

        def look(messages: int) -> None:
            samples.append(sample(sql, messages, time.monotonic() - began, _resident_mb(process.pid)))
            _say(samples)

        metrics = stage.urls["metrics"]
        with Database(metrics, name="soak", size=1) as watching:
            opened = 0
            for batch in _batches(count):
                ingest.accept(batch, "soak")
                eventually(lambda: _waiting(watching) < AHEAD, within=SETTLED_WITHIN, every=0.05)
                before, opened = opened, min(count, opened + BATCH * 8 // 10)
                if opened // every > before // every and opened < count:
                    look(opened)
        eventually(lambda: account.is_settled(stage.ops), within=SETTLED_WITHIN, every=0.1)
        look(count)
        stage.stop()
    return samples


def _batches(count: int) -> Iterator[list[Failure]]:
    opened = itertools.count()
    while (first := next(opened)) < count:
        new = [first, *itertools.islice(opened, BATCH * 8 // 10 - 1)]
        new = [number for number in new if number < count]
        repeated = new[: BATCH // 10]
        yield [_failure(n) for n in new] + [_failure(n, again=True) for n in repeated] + [_failure(n) for n in repeated]


def _failure(number: int, again: bool = False) -> Failure:
    """The same number is the same failure; `again` with a key of its own."""
    key = str(uuid5(NAMESPACE, f"soak:{number}:{again}"))
    code = CODES[number % len(CODES)]
    return parse({"error_type": code, "raw": "no answer", "source": f"soak.{number}", "idempotency_key": key})


def _waiting(metrics: Database) -> int:
    found = depths.depths(metrics)
    return found.evaluations_due + found.outbox_pending


def _looking(stage: Stage) -> "psycopg.Connection[tuple[object, ...]]":
    return psycopg.connect(stage.superuser_url, autocommit=True)


def _resident_mb(pid: int) -> float:
    [line] = (line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def _say(samples: Sequence[Sample]) -> None:
    """The last sample, with the rate since the one before, as a table."""
    last = samples[-1]
    messages, seconds = last.messages, last.seconds
    if len(samples) > 1:
        messages, seconds = messages - samples[-2].messages, seconds - samples[-2].seconds
    lines = [
        f"{last.messages} messages, {messages / seconds:.0f}/s; the process holds {last.resident_mb:.0f} MB;"
        f" {last.burnt} ids burnt",
        f"  {'table':<24}{'rows':>10}{'dead':>9}{'MB':>9}{'indexes':>9}{'a row':>7}{'in place':>9}{'vacuumed':>9}",
        *(_line(name, table) for name, table in last.tables.items() if table.bytes > MB or table.index_bytes > MB),
        "  open: " + ", ".join(f"{_short(name)} {size / MB:.1f}" for name, size in last.open_indexes.items() if size),
    ]
    print("\n".join(lines), flush=True)  # noqa: T201


def _line(name: str, table: Table) -> str:
    in_place = f"{100 * table.changed_in_place / table.changed:.0f} %" if table.changed else "-"
    return (
        f"  {_short(name):<24}{table.rows:>10}{table.dead:>9}{table.bytes / MB:>9.1f}{table.index_bytes / MB:>9.1f}"
        f"{table.bytes_per_row:>7.0f}{in_place:>9}{table.vacuumed:>9}"
    )


def _short(name: str) -> str:
    return name.removeprefix("m10_recovery.")


def main() -> None:
    """A soak of the whole engine; exit code 1 if anything grows without bound."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--count", type=int, default=1_000_000, help="candidates to open")
    parser.add_argument("--every", type=int, default=100_000, help="candidates between two samples")
    parser.add_argument("--no-delivery", action="store_true", help="evaluate only: no action is carried out")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="m10-") as folder:
        found = faults(run(Path(folder), count=given.count, every=given.every, deliver=not given.no_delivery))
    print("\n".join(found) or "nothing grows without bound")  # noqa: T201
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
