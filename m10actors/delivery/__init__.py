"""The only outgoing HTTP: `Deliverer.deliver(event, epoch)` makes one attempt and returns what became of it."""

from m10actors.delivery.deliverer import Deliverer
from m10actors.delivery.destination import Destination, InvalidDestination
from m10actors.delivery.errors import Undeliverable
from m10actors.delivery.event import Event
from m10actors.delivery.gate import Condition, Gate
from m10actors.delivery.kinds import EventKind, Request
from m10actors.delivery.outcome import Dead, Delivered, Held, Outcome, ReceiverAhead, Retry
from m10actors.delivery.valve import Limits

__all__ = [
    "Condition",
    "Dead",
    "Delivered",
    "Deliverer",
    "Destination",
    "Event",
    "EventKind",
    "Gate",
    "Held",
    "InvalidDestination",
    "Limits",
    "Outcome",
    "ReceiverAhead",
    "Request",
    "Retry",
    "Undeliverable",
]
