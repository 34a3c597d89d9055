"""Frees what was left behind: expired locks, stalled claims of the fallback queue, consumers of dead processes and
entries that nobody can get any more.
"""

import threading
from collections.abc import Mapping
from datetime import timedelta

from m10actors.ops.job import Job
from m10actors.postgres.pool import Database
from m10actors.streams import StreamMonitor

LOCK = "reclaim_gc"
CONSUMER_IDLE = timedelta(hours=1)


def expired_locks(database: Database) -> Job:
    """Deletes locks past their expiry; any holder could take them anyway, so this is for the eye."""

    def run(_stopping: threading.Event) -> Mapping[str, int]:
        return {"deleted": database.value("cleanup_expired_locks")}

    return Job(LOCK, run)


def release_stalled(database: Database, stalled_after: timedelta) -> Job:
    """Frees claims of the fallback queue older than `stalled_after`, and events that wait behind a closed one."""

    def run(_stopping: threading.Event) -> Mapping[str, int]:
        released = database.value("release_stalled", {"stalled": stalled_after})
        return {"released": released, "events": database.value("release_waiting")}

    return Job(LOCK, run)


def idle_consumers(monitor: StreamMonitor) -> Job:
    """Removes consumers that have asked for nothing for an hour and have nothing pending; then entries that nobody can
    get any more, not before: what a consumer was given just before it went is on no list for a moment.
    """

    def run(_stopping: threading.Event) -> Mapping[str, int]:
        removed = monitor.remove_idle_consumers(CONSUMER_IDLE)
        return {"removed": removed, "unreachable_entries": monitor.remove_unreachable()}

    return Job(LOCK, run)
