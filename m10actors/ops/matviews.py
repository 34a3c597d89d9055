"""Refreshes the materialized views; each refresh is logged by the database, and only one that succeeded makes a view
fresh.
"""

import threading
from collections.abc import Mapping

from m10actors import logs, metrics
from m10actors.ops.job import Job
from m10actors.postgres.pool import Database

log = logs.logger(__name__)

VIEW = "mv_top_pending"


def matview_refresh(database: Database) -> Job:
    """As m10_ops."""

    def run(_stopping: threading.Event) -> Mapping[str, int]:
        success, duration_ms, error = database.rows("refresh_matview", {"view": VIEW})[0]
        metrics.MATVIEW_REFRESH.labels(VIEW, "success" if success else "failure").inc()
        if not success:
            log.error("matview_refresh_failed", view=VIEW, error=error)
        return {"duration_ms": duration_ms}

    return Job(f"matview_{VIEW}", run)
