"""Samples both stores, read-only, so that a scrape asks neither. A store that cannot be asked leaves its figures and
says so.
"""

import time
from collections.abc import Callable
from datetime import timedelta

from m10actors import logs, metrics
from m10actors.actors.messages import Tick
from m10actors.actors.outage import Outage
from m10actors.postgres import depths
from m10actors.postgres.errors import StoreError
from m10actors.postgres.pool import Database
from m10actors.streams import StreamMonitor, StreamsError
from m10actors.supervision import Actor, Link

log = logs.logger(__name__)

SAMPLE = Tick("sample")


class MetricsCollector(Actor):
    """Every `interval`: as m10_metrics from PostgreSQL, and from Redis."""

    def __init__(self, link: Link, database: Database, monitor: StreamMonitor, interval: timedelta) -> None:
        super().__init__(link)
        self._database = database
        self._monitor = monitor
        self._interval = interval.total_seconds()
        self._outages = {"postgres": Outage("postgres"), "redis": Outage("redis")}

    def on_begin(self) -> None:
        self.tick_in(0, SAMPLE)

    def on_message(self, message: object) -> None:
        match message:
            case Tick("sample"):
                both = [self._try("postgres", self._postgres), self._try("redis", self._redis)]
                if all(both):
                    metrics.LAST_COLLECTION.set(time.time())
                self.tick_in(self._interval, SAMPLE)

    def _try(self, store: str, sample: Callable[[], None]) -> bool:
        try:
            sample()
        except (StoreError, StreamsError) as error:
            self._outages[store].met(error)
            return False
        self._outages[store].over()
        return True

    def _postgres(self) -> None:
        now = depths.depths(self._database)
        metrics.CANDIDATES_PENDING.set(now.candidates_pending)
        metrics.EVALUATIONS_DUE.set(now.evaluations_due)
        metrics.EVALUATIONS_DUE_OLDEST.set(now.evaluations_due_oldest_seconds)
        metrics.QUEUE_DEPTH.set(now.work_depth)
        metrics.QUEUE_OLDEST.set(now.work_oldest_seconds)
        metrics.QUEUE_STALLED.set(now.work_stalled)
        metrics.OUTBOX_PENDING.set(now.outbox_pending)
        metrics.OUTBOX_OLDEST.set(now.outbox_oldest_seconds)
        metrics.OUTBOX_LAG.set(now.outbox_lag_seconds)
        metrics.REPLAY_LOG_SIZE.set(now.replay_log_size)
        metrics.ARCHIVE_SIZE.set(now.archive_size)
        for lock in depths.locks(self._database):
            metrics.LOCK_ACTIVE.labels(metrics.lock_label(lock.name)).set(lock.active)
        for view in depths.view_ages(self._database):
            metrics.MATVIEW_AGE.labels(view.view_name).set(
                view.age_seconds if view.age_seconds is not None else float("inf")
            )

    def _redis(self) -> None:
        now = self._monitor.stats()
        metrics.STREAM_LENGTH.set(now.length)
        metrics.STREAM_PENDING.set(now.pending)
        metrics.STREAM_CONSUMERS.set(now.active_consumers)
        metrics.STREAM_OLDEST.set(now.oldest_entry_age.total_seconds() if now.oldest_entry_age else 0)
        metrics.DEAD_LETTER_LENGTH.set(now.dead_letter_length)
