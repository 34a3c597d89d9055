"""The only outgoing HTTP: `Deliverer.deliver(event, epoch)` makes one attempt and returns what became of it."""

from m10actors.delivery.deliverer import Deliverer
from m10actors.delivery.destination import Destination, InvalidDestination
from m10actors.delivery.event import Event
from m10actors.delivery.outcome import Dead, Delivered, Outcome, ReceiverAhead, Retry

__all__ = [
    "Dead",
    "Delivered",
    "Deliverer",
    "Destination",
    "Event",
    "InvalidDestination",
    "Outcome",
    "ReceiverAhead",
    "Retry",
]
