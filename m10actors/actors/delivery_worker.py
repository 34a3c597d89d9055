"""One attempt at a time: takes what goes together of the leader's turn, calls the receiver, tells what became of it."""

import itertools
import time
from collections.abc import Sequence
from typing import Protocol

from m10actors import logs
from m10actors.actors.messages import OUTBOX_LEADER, Attempted, Deliver, Ready
from m10actors.delivery import Event, Held, Outcome
from m10actors.supervision import Actor, Link
from m10actors.testing.failpoints import failpoint

log = logs.logger(__name__)

_incarnations = itertools.count(1)


class Delivers(Protocol):
    """What makes the attempts; see `Deliverer`."""

    def batch_size(self, event: Event) -> int: ...

    def deliver_together(self, events: Sequence[Event], epoch: int) -> Sequence[Outcome | Held]: ...


class DeliveryWorker(Actor):
    """Waits for HTTP so that nobody else has to. An attempt ends within the destination's timeout."""

    def __init__(self, link: Link, delivers: Delivers) -> None:
        super().__init__(link)
        self._delivers = delivers
        self._incarnation = next(_incarnations)

    def on_begin(self) -> None:
        self._is_ready()

    def on_message(self, message: object) -> None:
        match message:
            case Deliver(turn, incarnation) if incarnation == self._incarnation and not self.stopping.is_set():
                events = turn.take(self.child_id, self._delivers.batch_size)
                if not events:
                    self._is_ready()
                    return
                self._attempt(events, turn.epoch)
                self.actor_ref.tell(message)

    def _attempt(self, events: Sequence[Event], epoch: int) -> None:
        more = f" and {len(events) - 1} with it" if len(events) > 1 else ""
        self.doing(f"delivering event {events[0].id}{more}")
        started = time.monotonic()
        failpoint("outbox.before_send")
        outcomes = self._delivers.deliver_together(events, epoch)
        for event, outcome in zip(events, outcomes, strict=True):
            self.tell_child(OUTBOX_LEADER, Attempted(event, epoch, outcome, time.monotonic() - started))

    def _is_ready(self) -> None:
        self.doing("idle")
        self.tell_child(OUTBOX_LEADER, Ready(self.child_id, self._incarnation))
