"""How each operations job went last, in whichever process it ran. As m10_ops."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from m10actors.postgres.pool import Database, jsonb


@dataclass(frozen=True, slots=True)
class JobRun:
    """The last run of a job, and the last error that any of its runs met."""

    job: str
    runs: int
    worker: str
    outcome: str
    started_at: datetime
    ended_at: datetime
    seconds: float
    done: Mapping[str, int]
    last_error: str | None
    last_error_at: datetime | None


def note(
    database: Database,
    job: str,
    worker: str,
    outcome: str,
    seconds: float,
    done: Mapping[str, int],
    error: str | None,
    asked_by: str | None,
) -> None:
    """Writes down a run that has just ended; one that somebody asked for, in the control log too."""
    database.run(
        "note_job_run",
        {
            "job": job,
            "worker": worker,
            "outcome": outcome,
            "seconds": seconds,
            "done": jsonb(done),
            "error": error,
            "asked_by": asked_by,
        },
    )


def last(database: Database) -> dict[str, JobRun]:
    """The last run of each job that ever ran, by its name."""
    return {row[0]: JobRun(*row) for row in database.rows("job_runs")}


def holders(database: Database) -> dict[str, str]:
    """Who holds each lock now, by its name."""
    return dict(database.rows("lock_holders"))
