"""The substrate: one monitor per dependency, the one judge of whether it is up."""

import time
from collections.abc import Callable
from datetime import timedelta

from m10actors import logs, metrics
from m10actors.actors.messages import Tick
from m10actors.postgres.errors import StoreError
from m10actors.recovery.dependency import Condition, Dependency, Health
from m10actors.streams import Cause, RedisMisconfigured, RedisUnavailable, StreamMonitor, StreamsError
from m10actors.supervision import Actor, Link

log = logs.logger(__name__)

PROBE = Tick("probe")
HURRY = 4
"""A dependency that is in doubt is probed so many times as often."""


def look(dependency: Dependency, probe: Callable[[], object]) -> Health:
    """Probes once and has it judged; `probe` raises StoreError or StreamsError. A change is logged, once."""
    failure, answers = None, False
    try:
        probe()
    except (StoreError, StreamsError) as error:
        failure, answers = str(error), isinstance(error, RedisUnavailable) and error.cause is Cause.OOM
    before, after = dependency.observe(failure, time.monotonic(), answers=answers)
    metrics.STORE_UP.labels(dependency.name).set(not dependency.takes_nothing)
    if before.condition is not after.condition:
        known = before.condition is not Condition.UNKNOWN
        log.info(
            "dependency_changed",
            dependency=dependency.name,
            condition=after.condition,
            reason=after.reason,
            after_seconds=round(after.since - before.since, 1) if known else None,
        )
    return after


class DependencyMonitor(Actor):
    """Probes every `poll`, sooner when somebody could not use the dependency or a probe failed; while it is down, after
    growing pauses up to `poll`. `greet` is called whenever it has come up, until it succeeds.
    """

    def __init__(
        self,
        link: Link,
        dependency: Dependency,
        probe: Callable[[], object],
        poll: timedelta,
        greet: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(link)
        self._dependency = dependency
        self._probe = probe
        self._poll = poll.total_seconds()
        self._greet = greet
        self._greeted = False
        self._not_before = 0.0
        self._failures = 0

    def on_begin(self) -> None:
        self._dependency.watched_by(self._look_soon)
        self.tick_in(0, PROBE)

    def on_message(self, message: object) -> None:
        match message:
            case Tick("probe") if time.monotonic() < self._not_before:
                self._look_soon()  # asked for while it was being probed, which takes seconds where nobody answers
            case Tick("probe"):
                self._look()
                self.tick_in(self._pause(), PROBE)

    def _look(self) -> None:
        health = look(self._dependency, self._probe)
        self._not_before = time.monotonic() + self._poll / HURRY
        self._failures = self._failures + 1 if health.reason or health.against else 0
        if health.condition is Condition.DOWN:
            self._greeted = False
        elif not self._greeted and not self._failures:
            self._greeted = self._greet_it()
        self.doing(health.condition)

    def _greet_it(self) -> bool:
        try:
            self._greet()
        except (StoreError, StreamsError) as error:
            log.debug("greeting_failed", dependency=self._dependency.name, error=str(error))
            return False
        return True

    def _pause(self) -> float:
        """Seconds until the next probe."""
        if not self._failures and self._greeted:
            return self._poll
        return float(min(self._poll, self._poll / HURRY * 2.0 ** min(max(0, self._failures - 2), 10)))

    def _look_soon(self) -> None:
        """From any thread; however many ask, it is not probed more often than while it is in doubt."""
        self.tick_in(self._not_before - time.monotonic(), PROBE)


class IncarnationProbe:
    """Probes Redis, and notices when its data is not the data that it was: flushed, restarted empty, or restored from
    an older copy, in which fewer probes are counted; and when another server has it, or the same one after a restart,
    either of which may lack what was added last. That it does not let us in is said once.
    """

    def __init__(self, monitor: StreamMonitor, redis: Dependency) -> None:
        self._monitor = monitor
        self._redis = redis
        self._seen: tuple[str, int] | None = None
        self._history = ""
        self._refused = False

    def __call__(self) -> None:
        try:
            count, incarnation = self._monitor.probe(), self._monitor.incarnation()
            history = self._monitor.history()
        except RedisMisconfigured as error:
            if not self._refused:
                log.error("redis_refuses_us", cause=str(error), consequence="work goes through PostgreSQL")
            self._refused = True
            raise
        self._refused = False
        if self._seen is not None and (self._seen[0] != incarnation or self._seen[1] >= count):
            log.warning("redis_lost_its_data", consequence="all due work is swept from PostgreSQL")
            self._redis.lost_state()
        elif self._history and history and self._history != history:
            log.warning("redis_changed_hands", consequence="all due work is swept from PostgreSQL")
            self._redis.lost_state()
        self._seen, self._history = (incarnation, count), history or self._history
