"""What leased evaluators were asked and have not answered, and what follows from an answer. Pure, one owner."""

import itertools
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import assert_never

from m10actors.evaluation import Batch
from m10actors.evaluators.chain import Decided, Failed, Outcome, PutOff, Step, Task, Waits
from m10actors.postgres.waiting import Again, Waiting

LONGEST_BACKOFF = timedelta(hours=1)
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Job:
    """A task, and how its candidates were taken. `passed`: the evaluator itself has failed for good."""

    number: int
    step: Step
    batch: Batch
    taken: Mapping[int, Waiting]
    passed: bool = False

    @classmethod
    def of(cls, step: Step, batch: Batch, taken: Iterable[Waiting], *, passed: bool = False) -> "Job":
        due = {each.candidate_id: each for each in taken if each.candidate_id in batch.due}
        return cls(next(_numbers), step, replace(batch, done=(), unseen=()), due, passed)

    @property
    def task(self) -> Task:
        rules = self.batch.rules
        facts = [self.batch.due[candidate_id][1] for candidate_id in self.taken]
        return Task(rules.chain, self.step.name, facts, rules.judge(), self.passed)

    def fails(self, reason: str) -> dict[int, Outcome]:
        """The outcome of a job that nobody will answer."""
        return {candidate_id: Failed(reason) for candidate_id in self.taken}


@dataclass(frozen=True, slots=True)
class Sorted:
    """The outcomes of a job by what is to be done: `write` it, ask `again`, `give_up` with a reason."""

    write: Mapping[int, Outcome]
    again: Sequence[Again]
    give_up: Sequence[tuple[Waiting, str]]


def sort(job: Job, outcomes: Mapping[int, Outcome]) -> Sorted:
    """An attempt that failed is repeated after a growing pause, as often as the step allows; what was put off is asked
    again until it has waited too long.
    """
    write: dict[int, Outcome] = {}
    again: list[Again] = []
    give_up: list[tuple[Waiting, str]] = []
    for candidate_id, outcome in outcomes.items():
        taken = job.taken[candidate_id]
        match outcome:
            case Decided() | Waits():
                write[candidate_id] = outcome
            case PutOff(delay) if taken.waited + delay <= job.step.max_wait:
                again.append(Again(*taken.key, delay, counted=False))
            case PutOff():
                give_up.append((taken, f"evaluator_timeout: {job.step.name} has no answer yet"))
            case Failed() if taken.attempts <= job.step.retries and not job.passed:
                again.append(Again(*taken.key, _backoff(job.step, taken.attempts)))
            case Failed(reason):
                give_up.append((taken, reason))
            case _:
                assert_never(outcome)
    return Sorted(write, again, give_up)


def _backoff(step: Step, attempts: int) -> timedelta:
    doubled: timedelta = step.backoff * 2 ** min(attempts - 1, 20)
    return min(doubled, max(LONGEST_BACKOFF, step.backoff))


@dataclass(frozen=True, slots=True)
class _Call:
    """By one incarnation of a worker, until `deadline` in seconds of the monotonic clock."""

    job: Job
    incarnation: int
    deadline: float


class Asked:
    """Calls by the worker that is at them, and jobs that wait for one."""

    def __init__(self) -> None:
        self._calls: dict[str, _Call] = {}
        self.waiting: deque[Job] = deque()

    def put(self, worker: str, incarnation: int, job: Job, now: float) -> None:
        self._calls[worker] = _Call(job, incarnation, now + job.step.timeout.total_seconds())

    def has(self, worker: str, incarnation: int) -> bool:
        """Whether this incarnation of the worker is at something."""
        return worker in self._calls and self._calls[worker].incarnation == incarnation

    def answered(self, worker: str, number: int) -> Job | None:
        """The job, if the worker still is at it: what comes after its time was up is heard no more."""
        if worker not in self._calls or self._calls[worker].job.number != number:
            return None
        return self._calls.pop(worker).job

    def left_by(self, worker: str) -> Job | None:
        """What a predecessor of this worker was at when it crashed."""
        call = self._calls.pop(worker, None)
        return call.job if call else None

    def overdue(self, now: float) -> list[Job]:
        """Those whose time is up; nobody is at them any more."""
        late = [worker for worker, call in self._calls.items() if call.deadline <= now]
        return [self._calls.pop(worker).job for worker in late]

    def next_deadline(self, now: float, otherwise: float) -> float:
        """Seconds until the next call is overdue, at most `otherwise`."""
        return max(0.0, min([otherwise, *(call.deadline - now for call in self._calls.values())]))

    def count(self, evaluator: str) -> int:
        """How many calls of this evaluator are on their way."""
        return sum(job.step.name == evaluator and not job.passed for job in self.jobs())

    def jobs(self) -> Iterator[Job]:
        """All that is in hand."""
        yield from (call.job for call in self._calls.values())
        yield from self.waiting
