"""What the tables of an installation grow to, and whether any of it grows without bound."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psycopg

QUEUES: Final = ("m10_recovery.evaluation_claim",)
"""Tables whose rows go when what they stand for is done."""
MB: Final = 1024 * 1024
_HERE = Path(__file__).parent
_BURNT = (
    "SELECT (SELECT last_value FROM public.recovery_candidates_id_seq) - (SELECT count(*) FROM recovery_candidates)"
)


@dataclass(frozen=True, slots=True)
class Table:
    """One table with its partitions; `changed_in_place` counts the updates that needed no new index entry (HOT)."""

    rows: int
    dead: int
    changed: int
    changed_in_place: int
    vacuumed: int
    bytes: int
    index_bytes: int

    @property
    def bytes_per_row(self) -> float:
        return (self.bytes + self.index_bytes) / max(self.rows, 1)


@dataclass(frozen=True, slots=True)
class Sample:
    """How things stand after so many messages. `burnt`: candidate ids that were given and lead to no candidate."""

    messages: int
    seconds: float
    tables: Mapping[str, Table]
    open_indexes: Mapping[str, int]
    burnt: int
    resident_mb: float


def sample(sql: "psycopg.Connection[Any]", messages: int, seconds: float, resident_mb: float) -> Sample:
    """As a role that reads everything."""
    tables = {row[0]: Table(*row[1:]) for row in sql.execute((_HERE / "growth.sql").read_bytes())}
    indexes = dict(sql.execute((_HERE / "open_indexes.sql").read_bytes()).fetchall())
    [burnt] = sql.execute(_BURNT).fetchone() or (0,)
    return Sample(messages, seconds, tables, indexes, burnt, resident_mb)


def faults(samples: Sequence[Sample]) -> list[str]:
    """What grows though it should not, measured against the first fifth of the samples, at least the first one; empty
    if nothing does. What is counted once per message (a candidate, its provenance, its key) may grow with them.
    """
    early, later = samples[: max(1, len(samples) // 5)], samples[max(1, len(samples) // 5) :]
    found = [f"{last.burnt} candidate ids were burnt" for last in samples[-1:] if last.burnt]
    for last in later:
        found += _too_large(early, last)
        found += [
            f"{name} has {table.dead} dead rows beside {table.rows}"
            for name, table in last.tables.items()
            if table.dead > 60_000 + table.rows / 4
        ]
    return list(dict.fromkeys(found))


def _too_large(early: Sequence[Sample], last: Sample) -> list[str]:
    found = []
    for name, size in _bounded(last).items():
        most = 2 * max(_bounded(each).get(name, 0) for each in early) + 16 * MB
        if size > most:
            found.append(f"{name} has {size // MB} MB, more than {most // MB}")
    for name, table in last.tables.items():
        before = [each.tables[name] for each in early if name in each.tables and each.tables[name].rows > 10_000]
        if before and table.bytes_per_row > 1.5 * max(each.bytes_per_row for each in before):
            found.append(f"{name} takes {table.bytes_per_row:.0f} bytes for each row")
    most_mb = 1.25 * max(each.resident_mb for each in early) + 32
    if last.resident_mb > most_mb:
        found.append(f"the process holds {last.resident_mb:.0f} MB, more than {most_mb:.0f}")
    return found


def _bounded(given: Sample) -> dict[str, int]:
    """Bytes of what holds only what is under way."""
    return {**given.open_indexes, **{name: table.bytes for name, table in given.tables.items() if name in QUEUES}}
