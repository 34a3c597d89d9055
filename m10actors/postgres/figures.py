"""Figures: what all candidates add up to, and what came of each action. Nothing here writes."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Final

from m10actors.postgres.pool import Database

SOURCES: Final = 50
"""How many sources `stats` tells apart; the rest is counted together."""


@dataclass(frozen=True, slots=True)
class ActionRecord:
    """An action, and what came of it so far."""

    code: str
    name: str
    type: str
    is_automated: bool
    requires_approval: bool
    priority: int
    is_active: bool
    total_applications: int
    successful_applications: int
    success_rate: float


@dataclass(frozen=True, slots=True)
class Stats:
    """Counts, and the age of the oldest of what waits, in seconds (0: nothing does).

    `by_execution` and `by_action` have the key `none`. `by_source` has the most frequent sources first;
    `other_sources` counts the candidates of the rest. `sources_estimated`: they come from PostgreSQL's statistics, as
    they do beyond 20,000 candidates.
    """

    candidates: int
    by_decision: Mapping[str, int]
    by_execution: Mapping[str, int]
    by_action: Mapping[str, int]
    by_source: Mapping[str, int]
    other_sources: int
    pending_oldest_seconds: float
    due: int
    due_oldest_seconds: float
    work_depth: int
    work_oldest_seconds: float
    outbox_pending: int
    outbox_oldest_seconds: float
    outbox_dead: int
    paused_destinations: list[str]
    dead_letters_last_day: int
    dead_letters_newest_at: datetime | None
    sources_estimated: bool


def actions(database: Database) -> list[ActionRecord]:
    """Every action, the one with the highest priority first."""
    return [ActionRecord(*row) for row in database.rows("listed_actions")]


def stats(database: Database) -> Stats:
    """What all candidates add up to, read from an index alone."""
    row = database.rows("recovery_stats", {"sources": SOURCES})[0]
    found = dict(zip((field.name for field in fields(Stats) if field.name != "other_sources"), row, strict=True))
    sources = found.pop("by_source")
    return Stats(
        **found,
        by_source={source: count for source, count in sources if source is not None},
        other_sources=sum(count for source, count in sources if source is None),
    )
