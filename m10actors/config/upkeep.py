"""Operations: metrics, reports, retention and the schedules of the jobs."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, TypeAlias

from cronsim import CronSim, CronSimError
from pydantic import BeforeValidator, Field

from m10actors.config.durations import duration
from m10actors.config.kinds import Count, Duration, Env, FilePath, Says, Section

_SCHEDULE = 'a duration such as "5m", a cron expression such as "5 0 * * *", or "off"'


def _schedule(value: object) -> timedelta | str | None:
    match value:
        case None | "off":
            return None
        case timedelta():
            return value
        case str() if " " in value:
            try:
                CronSim(value, datetime(2000, 1, 1, tzinfo=UTC))
            except CronSimError as error:
                raise ValueError('a cron expression of five fields such as "5 0 * * *"') from error
            return value
        case str():
            if not (period := duration(value)):
                raise ValueError('a period longer than nothing, or "off"')
            return period
        case _:
            raise ValueError(_SCHEDULE)


Schedule: TypeAlias = Annotated[timedelta | str | None, BeforeValidator(_schedule), Says(_SCHEDULE)]
Days: TypeAlias = Annotated[Duration, Field(ge=timedelta(hours=1))]


class Metrics(Section):
    """The collector of figures from both stores."""

    interval: Annotated[Duration, Env("M10_METRICS_INTERVAL", "s")] = duration("30s")
    """Pause between two samples."""


class Stats(Section):
    """Reports in files: for jobs that are still to come, accepted so that environment files work."""

    output_dir: Annotated[FilePath, Env("M10_STATS_OUTPUT_DIR")] = Path("/var/log/m10")
    """Folder of the daily reports."""
    synthetic_count: Annotated[Count, Env("M10_SYNTHETIC_COUNT")] = 10
    """Failures that one run of synthetic traffic sends."""


class Retention(Section):
    """How long what is finished is kept."""

    dead_letter_archive: Annotated[Days, Env("DL_ARCHIVE_RETENTION_DAYS", "d")] = duration("90d")
    """Archived dead letters."""
    replay_log: Annotated[Days, Env("REPLAY_LOG_RETENTION_DAYS", "d")] = duration("30d")
    """The replay log."""
    outbox: Annotated[Days, Env("OUTBOX_RETENTION_DAYS", "d")] = duration("7d")
    """Delivered events."""
    idempotency: Annotated[Days, Env("IDEMPOTENCY_RETENTION_DAYS", "d")] = duration("30d")
    """Accepted idempotency keys."""
    provenance: Days = duration("90d")
    """Provenance, before it is archived; first approvals since they lapsed."""
    inputs: Days = duration("90d")
    """Inputs of candidates, before they are archived."""
    candidates: Days = duration("180d")
    """Candidates since they were closed and last seen, before they are archived."""
    executions: Days = duration("180d")
    """Ended executions of a failure that comes back for ever, but for those that decisions still go by."""
    operator_log: Days = duration("365d")
    """What operators changed about the engine itself, and what they purged."""


class Jobs(Section):
    """When each operations job runs: a period, a cron expression in UTC, or "off"."""

    matview_refresh: Schedule = duration("60s")
    """Refreshes the materialized views."""
    release_stalled: Schedule = duration("60s")
    """Frees claims of the fallback queue that have stalled."""
    execution_check: Schedule = duration("30s")
    """Ends executions of which nothing was heard, and counts successes after which the failure came back as no help."""
    expired_locks: Schedule = duration("60s")
    """Deletes expired locks."""
    idle_consumers: Schedule = duration("10m")
    """Removes consumers of dead processes from the group, and entries that nobody can get any more from the stream."""
    dead_letter_reconcile: Schedule = duration("5m")
    """Brings the dead-letter stream and its archive together."""
    partitions: Schedule = duration("60s")
    """Makes partitions of outbox and provenance ahead of the ids that are given."""
    retention: Schedule = duration("1h")
    """Archives and deletes what has passed its retention."""
    stalled_after: Duration = duration("300s")
    """Age at which a claim of the fallback queue counts as stalled."""
    retention_batch: Count = 5000
    """Rows that retention moves in one transaction."""
    lock_ttl: Annotated[Duration, Field(ge=timedelta(seconds=1), le=timedelta(days=1))] = duration("10m")
    """Time to live of a job's lock: longer than the job can take."""
