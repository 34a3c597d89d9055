"""Finds executions that nobody ends: those of which nothing was heard, and those that another program began."""

import threading
from collections.abc import Mapping

from m10actors import logs, metrics
from m10actors.ops.job import Job
from m10actors.postgres import executions
from m10actors.postgres.pool import Database

log = logs.logger(__name__)

LOCK = "executions"
BATCH = 500


def execution_check(database: Database) -> Job:
    """As m10_ops, in batches until nothing is left. An execution whose event is still open is the outbox' affair."""

    def run(stopping: threading.Event) -> Mapping[str, int]:
        done = dict.fromkeys(("adopted", "unknown", "came_back"), 0)
        while not stopping.is_set():
            found = executions.resolve(database, LOCK, BATCH)
            done = {name: count + getattr(found, name) for name, count in done.items()}
            metrics.EXECUTION_OUTCOMES.labels("unknown").inc(found.unknown)
            if max(found.adopted, found.unknown, found.came_back) < BATCH:
                break
        if done["unknown"]:
            log.warning("executions_without_result", count=done["unknown"])
        return done

    return Job(LOCK, run)
