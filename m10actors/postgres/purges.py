"""Purges of dead letters: what nobody wants any more is deleted, and who did it stays. As m10_ops."""

from dataclasses import dataclass
from typing import Final

from m10actors.postgres.dead_letters import LetterFilter
from m10actors.postgres.pool import Database, jsonb
from m10actors.replay.advice import Stage

BATCH: Final = 5_000


@dataclass(frozen=True, slots=True)
class Purgeable:
    """How many of one group would be deleted."""

    stage: Stage
    fingerprint: str
    cause: str
    is_replayed: bool
    count: int


def plan(database: Database, wanted: LetterFilter) -> list[Purgeable]:
    """What a purge would delete, the largest group first. What was replayed and has not come to an end is left out."""
    return [Purgeable(*row) for row in database.rows("plan_purge", {"wanted": jsonb(wanted.as_json())})]


def purge(database: Database, wanted: LetterFilter, by: str, why: str) -> int:
    """Deletes them in batches, each in a transaction of its own; how many. Interrupted, ask again."""
    number = database.value("begin_purge", {"wanted": jsonb(wanted.as_json()), "by": by, "why": why})
    total, batch = 0, BATCH
    while batch == BATCH:
        batch = database.value("purge_dead_letters", {"purge": number, "limit": BATCH})
        total += batch
    return total
