"""Samples both stores, read-only, so that a scrape asks neither. The figures of a store that cannot be asked are
absent, and `m10_store_up` says so.
"""

import math
import time
from collections.abc import Callable
from datetime import timedelta

from m10actors import logs, metrics
from m10actors.actors.messages import Tick
from m10actors.actors.outage import Outage
from m10actors.postgres import depths
from m10actors.postgres.depths import ViewAge
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
        self._outages: dict[metrics.Store, Outage] = {"postgres": Outage("postgres"), "redis": Outage("redis")}

    def on_begin(self) -> None:
        self.tick_in(0, SAMPLE)

    def on_message(self, message: object) -> None:
        match message:
            case Tick("sample"):
                self._sample("postgres", self._postgres)
                self._sample("redis", self._redis)
                self.tick_in(self._interval, SAMPLE)

    def _sample(self, store: metrics.Store, look: Callable[[], None]) -> None:
        try:
            look()
        except (StoreError, StreamsError) as error:
            self._outages[store].met(error)
            for gauge in metrics.SAMPLED[store]:
                gauge.clear()
            metrics.STORE_SAMPLED.labels(store).set(0)
        else:
            self._outages[store].over()
            metrics.STORE_SAMPLED.labels(store).set(1)
            metrics.LAST_COLLECTION.set(time.time())

    def _postgres(self) -> None:
        now = depths.depths(self._database)
        metrics.CANDIDATES_PENDING.set(now.candidates_pending)
        metrics.CANDIDATES_PENDING_OLDEST.set(now.candidates_pending_oldest_seconds)
        metrics.EVALUATIONS_DUE.set(now.evaluations_due)
        metrics.EVALUATIONS_DUE_OLDEST.set(now.evaluations_due_oldest_seconds)
        executions = depths.executions(self._database)
        metrics.EXECUTIONS_OPEN.set(executions.open)
        metrics.EXECUTIONS_OLDEST.set(executions.oldest_seconds)
        metrics.QUEUE_DEPTH.set(now.work_depth)
        metrics.QUEUE_OLDEST.set(now.work_oldest_seconds)
        metrics.QUEUE_STALLED.set(now.work_stalled)
        metrics.OUTBOX_PENDING.set(now.outbox_pending)
        metrics.OUTBOX_OLDEST.set(now.outbox_oldest_seconds)
        metrics.OUTBOX_LAG.set(now.outbox_lag_seconds)
        metrics.REPLAY_LOG_SIZE.set(now.replay_log_size)
        metrics.ARCHIVE_SIZE.set(now.archive_size)
        active: dict[str, float] = {}
        for lock in depths.locks(self._database):
            label = metrics.lock_label(lock.name)
            active[label] = max(lock.active, active.get(label, 0))
        metrics.LOCK_ACTIVE.set_each(active)
        metrics.MATVIEW_AGE.set_each({view.view_name: _age(view) for view in depths.view_ages(self._database)})

    def _redis(self) -> None:
        now = self._monitor.stats()
        metrics.STREAM_LENGTH.set(now.length)
        metrics.STREAM_OLDEST.set(_seconds(now.oldest_entry_age))
        metrics.STREAM_PENDING.set(now.pending)
        metrics.STREAM_PENDING_OLDEST.set(_seconds(now.oldest_pending_age))
        metrics.STREAM_CONSUMERS.set(now.active_consumers)
        metrics.DEAD_LETTER_LENGTH.set(now.dead_letter_length)
        metrics.DEAD_LETTER_OLDEST.set(_seconds(now.oldest_dead_letter_age))


def _seconds(age: timedelta | None) -> float:
    """Of nothing, the oldest is 0 seconds old."""
    return age.total_seconds() if age is not None else 0.0


def _age(view: ViewAge) -> float:
    """A view that was never refreshed is as old as can be."""
    return view.age_seconds if view.age_seconds is not None else math.inf
