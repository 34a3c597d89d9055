"""Between the delivery workers and what makes the attempts: nothing goes out that operators have stopped."""

from collections.abc import Sequence
from typing import Final

from m10actors.actors.delivery_worker import Delivers
from m10actors.delivery import Event, Held, Outcome
from m10actors.recovery.pauses import Part, Pauses

STOPPED: Final = Held("stopped", 1.0)
"""No claim brings such an event again before it may go out."""


class StopSwitch:
    """Holds what was claimed before actions were stopped and is not on its way yet, unless a person has approved it."""

    def __init__(self, delivers: Delivers, pauses: Pauses) -> None:
        self._delivers = delivers
        self._pauses = pauses

    def batch_size(self, event: Event) -> int:
        return self._delivers.batch_size(event)

    def deliver_together(self, events: Sequence[Event], epoch: int) -> Sequence[Outcome | Held]:
        is_stopped = Part.ACTIONS in self._pauses.held_back
        goes = [not (is_stopped and event.by_itself) for event in events]
        going = [event for event, may_go in zip(events, goes, strict=True) if may_go]
        outcomes = iter(self._delivers.deliver_together(going, epoch) if going else ())
        return [next(outcomes) if may_go else STOPPED for may_go in goes]
