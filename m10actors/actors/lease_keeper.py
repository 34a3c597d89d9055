"""Renews the leases of others, so that no renewal waits for what their holders are at (docs/lease.md)."""

import time
from dataclasses import dataclass
from datetime import timedelta

from m10actors.actors.messages import Keep, Over
from m10actors.actors.outage import Outage
from m10actors.postgres import locks
from m10actors.postgres.errors import StoreError
from m10actors.postgres.pool import Database
from m10actors.recovery.lease import Renewal, Tenure
from m10actors.supervision import Actor, Link
from m10actors.testing.failpoints import failpoint


@dataclass(frozen=True, slots=True)
class Renew:
    """To itself: it is time to."""

    tenure: Tenure


class LeaseKeeper(Actor):
    """Renews each tenure every `renew_every`, or three times in its ttl if that is more often, until it is over.

    An error is neither a renewal nor a loss: it asks again soon, for as long as the lease can be trusted.
    """

    def __init__(self, link: Link, database: Database, renew_every: timedelta) -> None:
        super().__init__(link)
        self._database = database
        self._renew_every = renew_every.total_seconds()
        self._outage = Outage("postgres")

    def on_message(self, message: object) -> None:
        match message:
            case Renew(tenure):
                self._renew(tenure)
            case Keep(tenure) if not tenure.over.is_set():
                self.tick_in(self._pause(tenure), Renew(tenure))

    def _renew(self, tenure: Tenure) -> None:
        if tenure.over.is_set():
            return
        started, pause = time.monotonic(), self._pause(tenure)
        answer = Renewal.UNKNOWN
        try:
            failpoint("leader.before_renew")
            answer = locks.renew(self._database, tenure.lock, tenure.holder, tenure.epoch, tenure.terms.ttl)
            self._outage.over()
        except StoreError as error:
            pause = min(pause, self._outage.met(error))
        tenure.answered(answer, started)
        if tenure.over.is_set():
            self.tell_child(tenure.asker, Over(tenure))
        else:
            self.tick_in(pause, Renew(tenure))

    def _pause(self, tenure: Tenure) -> float:
        return min(self._renew_every, tenure.terms.ttl_seconds / 3)
