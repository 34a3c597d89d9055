"""Event kinds of users, beside `http`, `webhook` and `notify`: found by the entry point group `m10actors.event_kinds`.

The name of an entry point is the part of the event type before the colon, what it points to an `EventKind`:

    [project.entry-points."m10actors.event_kinds"]
    sms = "my_package.sms:request"
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType
from typing import Final, TypeAlias

from m10actors.delivery.event import Event

GROUP: Final = "m10actors.event_kinds"
BUILT_IN: Final = frozenset({"http", "webhook", "notify"})


@dataclass(frozen=True, slots=True)
class Request:
    """What an event of a kind asks of its destination. It has to be the same on every attempt: made of the event alone,
    without a clock, a random number or a look at anything else. `body` is sent as it is.
    """

    body: bytes
    method: str = "POST"
    headers: Mapping[str, str] = field(default_factory=dict)


EventKind: TypeAlias = Callable[[Event], Request]
"""Makes the request of an event; `Undeliverable(reason)` makes it a dead letter. It must neither block nor send."""

NO_KINDS: Final[Mapping[str, EventKind]] = MappingProxyType({})


class InvalidEventKind(ValueError):
    """An entry point of the group m10actors.event_kinds that cannot be used."""


def names() -> frozenset[str]:
    """The kinds of events that can be delivered here. Loads none of them."""
    return BUILT_IN | _found().keys()


@cache
def registered() -> Mapping[str, EventKind]:
    """The kinds that installed distributions register, loaded. InvalidEventKind names the one that is wrong."""
    return MappingProxyType({name: _loaded(point) for name, point in _found().items()})


def _found() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=GROUP)}


def _loaded(point: EntryPoint) -> EventKind:
    if point.name in BUILT_IN or not point.name.isidentifier() or not point.name.islower():
        raise InvalidEventKind(f"event kind {point.name!r} ({point.value}): a name in lower case that is not built in")
    try:
        kind = point.load()
    except Exception as error:  # the edge of a guest, whose module may do anything when it is imported
        cause = f"{type(error).__name__}: {error}"
        raise InvalidEventKind(f"event kind {point.name} ({point.value}) cannot be loaded: {cause}") from error
    if not callable(kind):
        raise InvalidEventKind(f"event kind {point.name} ({point.value}) is not callable")
    return kind  # type: ignore[no-any-return]
