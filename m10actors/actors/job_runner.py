"""Runs operations jobs, one after another, each under its own lock, so that processes that share the stores do not
both run it.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta

from m10actors.actors.messages import LEASE_KEEPER, Keep, RunJob
from m10actors.ops.job import Job
from m10actors.ops.runner import Ran, Runner
from m10actors.postgres.pool import Database
from m10actors.recovery.lease import Tenure, Terms
from m10actors.supervision import Actor, Link


class JobRunner(Actor):
    """A job that fails runs at its next time: for want of a store, or because what it does is refused, which the
    pipeline must not suffer for. One that lacks a right says which address would have it. Of what was due while a long
    job ran, each job runs once; a person who asks gets a run of their own.
    """

    def __init__(
        self, link: Link, worker: str, database: Database, jobs: Mapping[str, Job], lock_ttl: timedelta
    ) -> None:
        super().__init__(link)
        self._runner = Runner(database, f"{worker}/{self.child_id}", self.child_id, Terms.of(lock_ttl))
        self._jobs = jobs
        self._tenure: Tenure | None = None
        self._began_at: dict[str, float] = {}

    def on_message(self, message: object) -> Ran | None:
        match message:
            case RunJob(name, asked_at, asked_by) if asked_by or asked_at > self._began_at.get(name, float("-inf")):
                self.doing(name)
                self._began_at[name] = time.monotonic()
                ran = self._runner.run(name, self._jobs[name], self._kept, asked_by)
                self.doing("idle")
                return ran
        return None

    def interrupt(self) -> None:
        """The job that runs comes to its end."""
        if (tenure := self._tenure) is not None:
            tenure.end()

    @contextmanager
    def _kept(self, tenure: Tenure) -> Iterator[None]:
        """A run lasts to its end, or until its lock is lost or this actor has to go: the next one goes on."""
        self._tenure = tenure
        try:
            if self.stopping.is_set():  # asked to go before there was a tenure to end
                tenure.end()
            self.tell_child(LEASE_KEEPER, Keep(tenure))
            yield
        finally:
            self._tenure = None
