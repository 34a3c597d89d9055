"""What the tests of the stream queue share: everything that speaks to one server, and every operation there is."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from m10actors.streams import (
    DeadLetter,
    DeadLetterStream,
    Message,
    RedisClient,
    StreamMonitor,
    StreamNames,
    StreamProducer,
    StreamQueue,
    acl_rules,
    unknown_commands,
)

NAMES = StreamNames()
NOON = datetime(2026, 2, 3, 12, 0, tzinfo=UTC)
AT_ONCE = timedelta(milliseconds=1)
PATIENT = timedelta(seconds=10)


class Sides:
    """All that speaks to one server."""

    def __init__(self, url: str, timeout: timedelta, connections: int, names: StreamNames) -> None:
        self.client = RedisClient(url, timeout=timeout, connections=connections)
        self.queue = StreamQueue(self.client, names, "me")
        self.producer = StreamProducer(self.client, names)
        self.monitor = StreamMonitor(self.client, names)
        self.dead_letters = DeadLetterStream(self.client, names)

    def add(self, *candidates: int) -> None:
        self.producer.add([Message(candidate, 1, NOON) for candidate in candidates], max_len=1000)

    def close(self) -> None:
        self.queue.close()
        self.client.close()


@contextmanager
def sides_of(
    url: str, timeout: timedelta = PATIENT, connections: int = 8, names: StreamNames = NAMES
) -> Iterator[Sides]:
    sides = Sides(url, timeout, connections, names)
    try:
        yield sides
    finally:
        sides.close()


def as_user(url: str, user: str) -> str:
    """The URL for a user with his password, in the form `name:password`."""
    found = urlsplit(url)
    place = found.netloc.rpartition("@")[2]
    return url.replace(f"{found.scheme}://{found.netloc}", f"{found.scheme}://{user}@{place}", 1)


def least_rights(url: str, *without: str) -> list[str]:
    """The rules of the least rights on the server, `without` some commands."""
    with sides_of(url) as sides:
        return acl_rules(NAMES, without={*unknown_commands(sides.client, NAMES), *without})


OPERATIONS: dict[str, Callable[[Sides], object]] = {
    "add": lambda sides: sides.add(1),
    "ensure_group": lambda sides: sides.queue.ensure_group(),
    "read": lambda sides: sides.queue.read(1, AT_ONCE),
    "read_own_pending": lambda sides: sides.queue.read_own_pending(set(), 10),
    "take_over": lambda sides: sides.queue.take_over(["dead"], 10),
    "reclaim": lambda sides: sides.queue.reclaim(AT_ONCE, 10),
    "keep": lambda sides: sides.queue.keep([b"1-0"]),
    "hand_back": lambda sides: sides.queue.hand_back([b"1-0"]),
    "finish": lambda sides: sides.queue.finish([b"1-0"]),
    "dead_letter": lambda sides: sides.queue.dead_letter(DeadLetter("uuid", "1:1", "poison", NOON), {}, b"1-0"),
    "page": lambda sides: sides.dead_letters.page(1),
    "remove": lambda sides: sides.dead_letters.remove([b"1-0"]),
    "probe": lambda sides: sides.monitor.probe(),
    "incarnation": lambda sides: sides.monitor.incarnation(),
    "stats": lambda sides: sides.monitor.stats(),
    "head": lambda sides: sides.monitor.head(),
    "remove_idle_consumers": lambda sides: sides.monitor.remove_idle_consumers(AT_ONCE),
    "remove_unreachable": lambda sides: sides.monitor.remove_unreachable(),
}
