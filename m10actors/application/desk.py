"""What is known of the operations jobs outside the tree, and asking its job runner for one."""

import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import partial
from typing import Final, cast

from m10actors.actors.messages import JOB_RUNNER, SCHEDULER, AskPlan, RunJob
from m10actors.application.jobs import jobs
from m10actors.application.parts import Parts
from m10actors.ops.desk import JobDesk, JobsNotRunning, Planned
from m10actors.ops.runner import Ran, Runner, renewed
from m10actors.recovery.lease import Terms
from m10actors.recovery.pauses import Part
from m10actors.supervision import AskFailed, NoReply, NotRunning
from m10actors.supervisor import Tree

PATIENCE_SECONDS: Final = 8.0
"""So long somebody waits for the end of a run: less than the command does for an answer."""
LOCK_TTL: Final = timedelta(seconds=30)
"""Of a lock that is renewed by who runs the job: the engine waits no longer for one that was killed."""
_LOOK_SECONDS: Final = 2.0


def desk(parts: Parts, tree: Callable[[], Tree | None]) -> JobDesk:
    """The jobs of a tree, which is asked for anew each time: None before it is up."""

    def due() -> Mapping[str, float]:
        if (found := tree()) is None:
            return {}
        try:
            return cast("Mapping[str, float]", found.ask(SCHEDULER, AskPlan(), _LOOK_SECONDS))
        except (NotRunning, NoReply, AskFailed):
            return {}

    def run(name: str, by: str) -> Ran:
        if (found := tree()) is None:
            raise JobsNotRunning("the tree is not up yet")
        try:
            return cast("Ran", found.ask(JOB_RUNNER, RunJob(name, time.monotonic(), by), PATIENCE_SECONDS))
        except NoReply:
            return Ran(name, "under_way", PATIENCE_SECONDS)
        except NotRunning:
            raise JobsNotRunning(_why(parts)) from None
        except AskFailed as error:
            return Ran(name, "failed", 0.0, error=str(error))

    return JobDesk(_planned(parts), due, run)


def alone(parts: Parts) -> JobDesk:
    """The jobs where no tree is up: each is run by whoever asks, in their thread."""
    found = jobs(parts)
    runner = Runner(parts.ops, f"{parts.worker}/{JOB_RUNNER}", JOB_RUNNER, Terms.of(LOCK_TTL))

    def run(name: str, by: str) -> Ran:
        return runner.run(name, found[name], partial(renewed, parts.ops), by)

    return JobDesk(_planned(parts), run=run)


def _planned(parts: Parts) -> dict[str, Planned]:
    return {name: Planned.of(job.lock, getattr(parts.settings.jobs, name)) for name, job in jobs(parts).items()}


def _why(parts: Parts) -> str:
    for pause in parts.pauses.now:
        if pause.part is Part.JOBS:
            return f"jobs are {pause}"
    return "PostgreSQL is down" if parts.postgres.is_down else "the job runner is not running at this moment"
