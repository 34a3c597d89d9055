"""Runs an operations job once, under its lock: for the job runner, and for a command where no engine runs."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Literal

from m10actors import logs, metrics
from m10actors.ops.job import Job
from m10actors.postgres import job_runs, locks
from m10actors.postgres.errors import NotPermitted, StoreError, StoreUnavailable
from m10actors.postgres.pool import Database
from m10actors.recovery.lease import Renewal, Tenure, Terms
from m10actors.streams import StreamsError

log = logs.logger(__name__)

Keep = Callable[[Tenure], AbstractContextManager[None]]


@dataclass(frozen=True, slots=True)
class Ran:
    """What came of a run. `done`: what it did, counts by name.

    interrupted: it had to end early, and its next run goes on. failed: `error` says why. elsewhere: another process
    holds its lock, and nothing was run. under_way: whoever asked waits no longer, and it goes on.
    """

    job: str
    outcome: Literal["done", "interrupted", "failed", "elsewhere", "under_way"]
    seconds: float
    done: Mapping[str, int] = field(default_factory=dict)
    error: str | None = None


class Runner:
    """Runs jobs as m10_ops; their locks are held under `holder`, and a loss of one is told to `asker`."""

    def __init__(self, database: Database, holder: str, asker: str, terms: Terms) -> None:
        self._database = database
        self._holder = holder
        self._asker = asker
        self._terms = terms

    def run(self, name: str, job: Job, keep: Keep, asked_by: str | None = None) -> Ran:
        """Runs a job, unless another process does, and writes down what came of it; failures of a store are told, not
        raised. `keep` is entered around the run: it renews the lock, and ends the tenure where the job has to end.
        """
        ran = self._tried(name, job, keep)
        match ran.outcome:
            case "elsewhere":
                metrics.LOCK_FAILED.labels(job.lock).inc()
            case "done" | "interrupted":
                log.debug("job_done", job=name, seconds=round(ran.seconds, 3), **ran.done)
        if ran.outcome != "elsewhere":
            with suppress(StoreError):  # the log has it
                job_runs.note(
                    self._database, name, self._holder, ran.outcome, ran.seconds, ran.done, ran.error, asked_by
                )
        return ran

    def _tried(self, name: str, job: Job, keep: Keep) -> Ran:
        started = time.monotonic()
        try:
            tenure = locks.begin(self._database, job.lock, self._holder, self._terms, asker=self._asker)
            if tenure is None:
                return Ran(name, "elsewhere", time.monotonic() - started)
            metrics.LOCK_ACQUIRED.labels(job.lock).inc()
            try:
                with keep(tenure):
                    done = job.run(tenure.over)
                    is_cut = tenure.over.is_set()
            finally:
                locks.end(self._database, tenure)
        except (StoreError, StreamsError) as error:
            _say(name, error)
            return Ran(name, "failed", time.monotonic() - started, error=str(error))
        return Ran(name, "interrupted" if is_cut else "done", time.monotonic() - started, done)


@contextmanager
def renewed(database: Database, tenure: Tenure) -> Iterator[None]:
    """Renews the lock in a thread, where no lease keeper does."""

    def renew() -> None:
        while not tenure.over.wait(tenure.terms.ttl_seconds / 3):
            started, answer = time.monotonic(), Renewal.UNKNOWN
            with suppress(StoreError):
                answer = locks.renew(database, tenure.lock, tenure.holder, tenure.epoch, tenure.terms.ttl)
            tenure.answered(answer, started)

    thread = threading.Thread(target=renew, name="lease")
    thread.start()
    try:
        yield
    finally:
        tenure.end()
        thread.join()


def _say(name: str, error: StoreError | StreamsError) -> None:
    match error:
        case StoreUnavailable() | StreamsError():
            log.warning("job_postponed", job=name, error=str(error))
        case NotPermitted():
            log.error("job_not_permitted", job=name, error=str(error), needs="M10_OPS_DATABASE_URL")
        case _:
            log.error("job_refused", job=name, error=str(error))
