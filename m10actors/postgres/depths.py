"""What the metrics role may see: depths and ages, locks, the age of views. Depths come from partial indexes: what
is done costs a sample nothing.
"""

from dataclasses import dataclass

from m10actors.postgres.pool import Database


@dataclass(frozen=True, slots=True)
class Depths:
    """One row of `m10_recovery.metrics_depths`. Ages are of the oldest item, in seconds, 0 where there is none."""

    candidates_pending: int
    evaluations_due: int
    evaluations_due_oldest_seconds: float
    work_depth: int
    work_oldest_seconds: float
    work_stalled: int
    outbox_pending: int
    outbox_oldest_seconds: float
    outbox_lag_seconds: float
    replay_log_size: int
    archive_size: int
    candidates_pending_oldest_seconds: float


@dataclass(frozen=True, slots=True)
class Executions:
    """Those under way, and the age of the oldest in seconds."""

    open: int
    oldest_seconds: float


@dataclass(frozen=True, slots=True)
class Lock:
    """A lock: whether it is live, and how often it has changed hands."""

    name: str
    active: bool
    epoch: int


@dataclass(frozen=True, slots=True)
class ViewAge:
    """Seconds since the last refresh that succeeded; None if none ever did."""

    view_name: str
    age_seconds: float | None


def depths(database: Database) -> Depths:
    return Depths(*database.rows("metrics_depths")[0])


def executions(database: Database) -> Executions:
    return Executions(*database.rows("metrics_executions")[0])


def locks(database: Database) -> list[Lock]:
    return [Lock(*row) for row in database.rows("metrics_locks")]


def view_ages(database: Database) -> list[ViewAge]:
    return [ViewAge(row[0], row[1]) for row in database.rows("matview_freshness")]
