"""Makes partitions ahead of the ids that are given, so that the rows of a stretch of time stand together."""

import threading
from collections.abc import Mapping
from typing import Final

from m10actors import logs
from m10actors.ops.job import Job
from m10actors.postgres.errors import StoreContention, StoreRefused
from m10actors.postgres.pool import Database

log = logs.logger(__name__)

TABLES: Final = ("outbox", "suggestion_provenance")
LEAST: Final = 4_000_000
"""Ids of a partition at least: more than are given in a minute, so that no row is written before it has a partition.
One that is nevertheless stands in the default partition, and is deleted in batches.
"""


def partitions(database: Database, least: int = LEAST) -> Job:
    """As m10_ops. It needs each table for itself for a moment; where it cannot have that, the next run."""

    def run(_stopping: threading.Event) -> Mapping[str, int]:
        made = dict.fromkeys(TABLES, 0)
        for table in TABLES:
            try:
                made[table] = database.value("add_partitions", {"table": table, "least": least})
            except StoreContention:
                log.info("partition_in_use", rule=table)
            except StoreRefused as error:  # rows go to the default partition, and are deleted in batches
                log.error("partitions_refused", table=table, error=str(error))
        return made

    return Job("partitions", run)
