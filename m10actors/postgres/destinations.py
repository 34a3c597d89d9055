"""Destinations as the outbox knows them: what waits for each, and which are paused. As m10_ops."""

from dataclasses import dataclass
from datetime import datetime

from m10actors.postgres.pool import Database


@dataclass(frozen=True, slots=True)
class Backlog:
    """What is open for one destination; `paused_because` None: it is not paused."""

    name: str
    waiting: int
    oldest_seconds: float | None
    paused_because: str | None
    paused_since: datetime | None


def backlogs(database: Database) -> list[Backlog]:
    """Every destination for which events are open, and every paused one, by name."""
    return [Backlog(*row) for row in database.rows("destination_backlogs")]


def pause(database: Database, name: str, reason: str, by: str | None = None) -> bool:
    """Holds back the events of a destination until it is resumed; False if it was paused already. `by`: who acts, where
    it is not whoever is connected.
    """
    return bool(database.rows("destination_pause", {"name": name, "reason": reason, "by": by}))


def resume(database: Database, name: str, by: str | None = None) -> bool:
    """Its events are due again, each when its turn is; False if it was not paused. `by` as for `pause`."""
    return bool(database.rows("destination_resume", {"name": name, "by": by}))
