"""Runs operations jobs, one after another, each under its own lock, so that processes that share the stores do not
both run it.
"""

import time
from collections.abc import Mapping
from datetime import timedelta

from m10actors import logs, metrics
from m10actors.actors.messages import LEASE_KEEPER, Keep, RunJob
from m10actors.ops.job import Job
from m10actors.postgres import locks
from m10actors.postgres.errors import NotPermitted, StoreRefused, StoreUnavailable
from m10actors.postgres.pool import Database
from m10actors.recovery.lease import Tenure, Terms
from m10actors.streams import StreamsError
from m10actors.supervision import Actor, Link

log = logs.logger(__name__)


class JobRunner(Actor):
    """A job that fails runs at its next time: for want of a store, or because what it does is refused, which the
    pipeline must not suffer for. One that lacks a right says which address would have it. Of what was asked while a
    long job ran, each job runs once.
    """

    def __init__(
        self, link: Link, worker: str, database: Database, jobs: Mapping[str, Job], lock_ttl: timedelta
    ) -> None:
        super().__init__(link)
        self._name = f"{worker}/{self.child_id}"
        self._database = database
        self._jobs = jobs
        self._terms = Terms.of(lock_ttl)
        self._tenure: Tenure | None = None
        self._began_at: dict[str, float] = {}

    def on_message(self, message: object) -> None:
        match message:
            case RunJob(name, asked_at) if asked_at > self._began_at.get(name, float("-inf")):
                self.doing(name)
                self._run(name, self._jobs[name])
                self.doing("idle")

    def interrupt(self) -> None:
        """The job that runs comes to its end."""
        if (tenure := self._tenure) is not None:
            tenure.end()

    def _run(self, name: str, job: Job) -> None:
        started = self._began_at[name] = time.monotonic()
        try:
            tenure = locks.begin(self._database, job.lock, self._name, self._terms, asker=self.child_id)
            if tenure is None:
                metrics.LOCK_FAILED.labels(job.lock).inc()
                return
            metrics.LOCK_ACQUIRED.labels(job.lock).inc()
            done = self._under(tenure, job)
        except (StoreUnavailable, StreamsError) as error:
            log.warning("job_postponed", job=name, error=str(error))
        except NotPermitted as error:
            log.error("job_not_permitted", job=name, error=str(error), needs="M10_OPS_DATABASE_URL")
        except StoreRefused as error:
            log.error("job_refused", job=name, error=str(error))
        else:
            log.debug("job_done", job=name, seconds=round(time.monotonic() - started, 3), **done)

    def _under(self, tenure: Tenure, job: Job) -> Mapping[str, int]:
        """Runs it to its end, or until its lock is lost or this actor has to go: the next run goes on."""
        self._tenure = tenure
        try:
            if self.stopping.is_set():  # asked to go before there was a tenure to end
                tenure.end()
            self.tell_child(LEASE_KEEPER, Keep(tenure))
            return job.run(tenure.over)
        finally:
            self._tenure = None
            locks.end(self._database, tenure)
