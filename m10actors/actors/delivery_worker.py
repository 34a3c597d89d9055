"""One attempt at a time: takes an event from the leader, calls its receiver, tells what became of it."""

import itertools
import time

from m10actors import logs
from m10actors.actors.messages import OUTBOX_LEADER, Attempted, Deliver, Ready
from m10actors.delivery import Deliverer
from m10actors.supervision import Actor, Link
from m10actors.testing.failpoints import failpoint

log = logs.logger(__name__)

_incarnations = itertools.count(1)


class DeliveryWorker(Actor):
    """Waits for HTTP so that nobody else has to. An attempt ends within the destination's timeout."""

    def __init__(self, link: Link, deliverer: Deliverer) -> None:
        super().__init__(link)
        self._deliverer = deliverer
        self._incarnation = next(_incarnations)

    def on_begin(self) -> None:
        self.tell_child(OUTBOX_LEADER, Ready(self.child_id, self._incarnation))

    def on_message(self, message: object) -> None:
        match message:
            case Deliver(event, epoch, incarnation) if incarnation == self._incarnation:
                self.doing(f"delivering event {event.id}")
                started = time.monotonic()
                failpoint("outbox.before_send")
                outcome = self._deliverer.deliver(event, epoch)
                seconds = time.monotonic() - started
                attempt = Attempted(self.child_id, incarnation, event, epoch, outcome, seconds)
                self.tell_child(OUTBOX_LEADER, attempt)
                self.doing("idle")
