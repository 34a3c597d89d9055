"""Decisions as they were recorded. Nothing here writes, and PostgreSQL makes sure of it: see `Database.read`."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from m10actors.postgres.inspection import loaded
from m10actors.postgres.pool import Database

PAGE: Final = 500
"""How many records are in memory at a time."""
_LAST_ROW: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Recorded:
    """The last evaluation of a candidate. `record`: as `Decision.record` made it, or what else was written."""

    decided_at: datetime | None
    record: Mapping[str, Any]


def last(database: Database, candidate_id: int) -> Recorded | None:
    """None for a candidate that was never evaluated, or whose archive was emptied."""
    rows = database.read("last_record", {"id": candidate_id})
    return Recorded(rows[0][0], _record(rows[0][1])) if rows else None


def newest(
    database: Database, since: datetime, until: datetime, limit: int | None = None
) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Every evaluation in that time, or so many of them, as (candidate_id, record): the newest first, a page at a
    time, each in a transaction of its own.
    """
    [[after]] = database.read("records_begin", {"since": since})
    asked: dict[str, object] = {"since": since, "until": until, "after": after, "before": _LAST_ROW}
    left = _LAST_ROW if limit is None else limit
    while rows := database.read("decision_records", asked | {"limit": min(PAGE, left)}):
        yield from ((candidate_id, _record(record)) for _, candidate_id, record in rows)
        left -= len(rows)
        asked["before"] = rows[-1][0]


def _record(text: str) -> Mapping[str, Any]:
    """Another program may have written what is no object: that is no record either."""
    found = loaded(text)
    return found if isinstance(found, dict) else {}
