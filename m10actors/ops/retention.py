"""Archives and deletes what has passed its retention: whole partitions, and the rest in batches, each in a transaction
of its own.
"""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from m10actors import logs
from m10actors.ops.job import Job
from m10actors.postgres.errors import StoreContention, StoreRefused
from m10actors.postgres.pool import Database
from m10actors.testing.failpoints import failpoint

log = logs.logger(__name__)

LOCK = "retention_cleanup"


@dataclass(frozen=True, slots=True)
class Rule:
    """`query` moves or deletes one batch of what is older than `keep`, and `partition` one partition in which all is,
    as a whole; `name` is the job's row in retention_jobs, if it has one.
    """

    name: str
    query: str
    keep: timedelta
    partition: str | None = None

    @property
    def archives(self) -> bool:
        return self.query.startswith("archive_")


def retention(database: Database, rules: Sequence[Rule], batch: int) -> Job:
    """As m10_ops. What is archived is moved in one statement with its deletion, so that no row is in neither place."""

    def run(stopping: threading.Event) -> Mapping[str, int]:
        moved = {}
        for rule in rules:
            try:
                rows = _whole(database, rule, batch, stopping) + _in_batches(database, rule, batch, stopping)
            except StoreRefused as error:  # one rule that fails does not keep the others from theirs
                log.error("retention_rule_refused", rule=rule.name, error=str(error))
                continue
            moved[rule.name] = rows
            archived, deleted = (rows, rows) if rule.archives else (0, rows)
            days = max(1, rule.keep.days)
            database.run("retention_ran", {"name": rule.name, "archived": archived, "deleted": deleted, "days": days})
        return moved

    return Job(LOCK, run)


def _whole(database: Database, rule: Rule, batch: int, stopping: threading.Event) -> int:
    """Rows of whole partitions. It needs a table for itself for a moment; where it cannot have that, the next run."""
    total = 0
    while rule.partition is not None and not stopping.is_set():
        try:
            rows: int | None = database.value(rule.partition, {"older_than": rule.keep, "limit": batch})
        except StoreContention:
            log.info("partition_in_use", rule=rule.name)
            break
        if rows is None:
            break
        total += rows
    return total


def _in_batches(database: Database, rule: Rule, batch: int, stopping: threading.Event) -> int:
    total = 0
    while not stopping.is_set():
        failpoint("retention.before_delete")
        moved: int = database.value(rule.query, {"older_than": rule.keep, "limit": batch})
        total += moved
        if moved < batch:
            break
    return total
