"""Says when a job is due. One thread of time for all jobs; the job runner does the work."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from cronsim import CronSim

from m10actors import logs
from m10actors.actors.messages import JOB_RUNNER, AskPlan, RunJob, Tick
from m10actors.supervision import Actor, Link

log = logs.logger(__name__)

LOOK = Tick("look")
LONGEST_LOOK = 1.0

Schedule = timedelta | str
"""A period, or a cron expression in UTC."""


def seconds_to_next(schedule: Schedule, now: datetime) -> float:
    """How long after `now` the next run is due."""
    if isinstance(schedule, timedelta):
        return schedule.total_seconds()
    return (next(CronSim(schedule, now)) - now).total_seconds()


class Scheduler(Actor):
    """Every job runs once soon after the start if its schedule is a period, then by its schedule."""

    def __init__(self, link: Link, schedules: Mapping[str, Schedule]) -> None:
        super().__init__(link)
        self._schedules = schedules
        self._due_at: dict[str, float] = {}

    def on_begin(self) -> None:
        now = time.monotonic()
        for name, schedule in self._schedules.items():
            wait = (
                min(seconds_to_next(schedule, datetime.now(UTC)), LONGEST_LOOK)
                if isinstance(schedule, timedelta)
                else None
            )
            self._due_at[name] = now + (seconds_to_next(schedule, datetime.now(UTC)) if wait is None else wait)
        self.tick_in(0, LOOK)

    def on_message(self, message: object) -> Mapping[str, float] | None:
        match message:
            case Tick("look"):
                self._run_due()
                nearest = min(self._due_at.values(), default=float("inf")) - time.monotonic()
                self.tick_in(min(max(nearest, 0.0), LONGEST_LOOK), LOOK)
            case AskPlan():
                now = time.monotonic()
                return {name: max(0.0, due_at - now) for name, due_at in self._due_at.items()}
        return None

    def _run_due(self) -> None:
        now = time.monotonic()
        for name, due_at in self._due_at.items():
            if due_at <= now and self.tell_child(JOB_RUNNER, RunJob(name, now)):
                self._due_at[name] = now + seconds_to_next(self._schedules[name], datetime.now(UTC))
