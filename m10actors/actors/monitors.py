"""The substrate: one monitor per dependency, the one judge of whether it is up."""

import time
from collections.abc import Callable
from datetime import timedelta

from m10actors import logs, metrics
from m10actors.actors.messages import Tick
from m10actors.postgres.errors import StoreError
from m10actors.postgres.pool import Database
from m10actors.recovery.dependency import Condition, Dependency
from m10actors.streams import StreamMonitor, StreamsError
from m10actors.supervision import Actor, Link

log = logs.logger(__name__)

PROBE = Tick("probe")


class DependencyMonitor(Actor):
    """Probes every `poll`; four times as often while the dependency is down. `probe` raises StoreError or
    StreamsError.
    """

    def __init__(self, link: Link, dependency: Dependency, probe: Callable[[], object], poll: timedelta) -> None:
        super().__init__(link)
        self._dependency = dependency
        self._probe = probe
        self._poll = poll.total_seconds()

    def on_begin(self) -> None:
        self.tick_in(0, PROBE)

    def on_message(self, message: object) -> None:
        match message:
            case Tick("probe"):
                self._look()
                self.tick_in(self._poll / (4 if self._dependency.is_down else 1), PROBE)

    def _look(self) -> None:
        failure = None
        try:
            self._probe()
        except (StoreError, StreamsError) as error:
            failure = str(error)
        before, after = self._dependency.observe(failure, time.monotonic())
        metrics.STORE_UP.labels(self._dependency.name).set(after.condition is not Condition.DOWN)
        if before.condition is not after.condition:
            seconds = round(after.since - before.since, 1) if before.condition is not Condition.UNKNOWN else None
            log.info(
                "dependency_changed",
                dependency=self._dependency.name,
                condition=after.condition,
                reason=after.reason,
                after_seconds=seconds,
            )
        self.doing(after.condition)


class IncarnationProbe:
    """Probes Redis, and notices when its data is not the data that it was: flushed, restarted empty, restored."""

    def __init__(self, monitor: StreamMonitor, redis: Dependency) -> None:
        self._monitor = monitor
        self._redis = redis
        self._seen: str | None = None

    def __call__(self) -> None:
        self._monitor.probe()
        now = self._monitor.incarnation()
        if self._seen is not None and self._seen != now:
            log.warning("redis_lost_its_data", consequence="all due work is swept from PostgreSQL")
            self._redis.lost_state()
        self._seen = now


class PostgresProbe:
    """Probes PostgreSQL; the first time that it answers, `first_contact` is made, until it succeeds once."""

    def __init__(self, database: Database, first_contact: Callable[[], None]) -> None:
        self._database = database
        self._first_contact: Callable[[], None] | None = first_contact

    def __call__(self) -> None:
        self._database.value("probe")
        if self._first_contact is not None:
            self._first_contact()
            self._first_contact = None
