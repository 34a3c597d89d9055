"""What is known of the operations jobs outside the tree: which there are, when each is due, how it went; and running
one now.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from m10actors.config.durations import render
from m10actors.ops.runner import Ran
from m10actors.postgres import job_runs
from m10actors.postgres.job_runs import JobRun
from m10actors.postgres.pool import Database


@dataclass(frozen=True, slots=True)
class Planned:
    """A job as it is configured. `schedule` is written as in the configuration: a period, a cron expression, off."""

    lock: str
    schedule: str

    @classmethod
    def of(cls, lock: str, schedule: timedelta | str | None) -> "Planned":
        match schedule:
            case None:
                return cls(lock, "off")
            case timedelta():
                return cls(lock, render(schedule))
            case str():
                return cls(lock, schedule)


@dataclass(frozen=True, slots=True)
class JobState:
    """One job. `next_seconds`: when this process runs it next; None if only somebody who asks has it run. `held_by`:
    who holds its lock now, which several jobs may share. `last`: its last run, in whichever process.
    """

    job: str
    schedule: str
    lock: str
    next_seconds: float | None
    held_by: str | None
    last: JobRun | None


class JobsNotRunning(Exception):
    """No job is run here at present."""


def _by_nobody(_name: str, _by: str) -> Ran:
    raise JobsNotRunning("no job is run here")


@dataclass(frozen=True, slots=True)
class JobDesk:
    """`due`: in how many seconds this process runs each job next. `run`: runs a job now, for somebody; JobsNotRunning
    where none is run.
    """

    planned: Mapping[str, Planned] = field(default_factory=dict)
    due: Callable[[], Mapping[str, float]] = dict
    run: Callable[[str, str], Ran] = _by_nobody

    def states(self, database: Database) -> list[JobState]:
        """Every job, in the order of the configuration; as m10_ops."""
        due, last, held = self.due(), job_runs.last(database), job_runs.holders(database)
        return [
            JobState(name, plan.schedule, plan.lock, due.get(name), held.get(plan.lock), last.get(name))
            for name, plan in self.planned.items()
        ]
