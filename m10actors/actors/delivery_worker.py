"""One attempt at a time: takes an event of the leader's turn, calls its receiver, tells what became of it."""

import itertools
import time
from collections.abc import Callable

from m10actors import logs
from m10actors.actors.messages import OUTBOX_LEADER, Attempted, Deliver, Ready
from m10actors.delivery import Event, Held, Outcome
from m10actors.supervision import Actor, Link
from m10actors.testing.failpoints import failpoint

log = logs.logger(__name__)

_incarnations = itertools.count(1)


class DeliveryWorker(Actor):
    """Waits for HTTP so that nobody else has to. An attempt ends within the destination's timeout."""

    def __init__(self, link: Link, deliver: Callable[[Event, int], Outcome | Held]) -> None:
        super().__init__(link)
        self._deliver = deliver
        self._incarnation = next(_incarnations)

    def on_begin(self) -> None:
        self._is_ready()

    def on_message(self, message: object) -> None:
        match message:
            case Deliver(turn, incarnation) if incarnation == self._incarnation and not self.stopping.is_set():
                event = turn.take(self.child_id)
                if event is None:
                    self._is_ready()
                    return
                self._attempt(event, turn.epoch)
                self.actor_ref.tell(message)

    def _attempt(self, event: Event, epoch: int) -> None:
        self.doing(f"delivering event {event.id}")
        started = time.monotonic()
        failpoint("outbox.before_send")
        outcome = self._deliver(event, epoch)
        self.tell_child(OUTBOX_LEADER, Attempted(event, epoch, outcome, time.monotonic() - started))

    def _is_ready(self) -> None:
        self.doing("idle")
        self.tell_child(OUTBOX_LEADER, Ready(self.child_id, self._incarnation))
