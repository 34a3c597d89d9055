"""Where the connections to Redis lead: to the server of the address, to the primary that Sentinels name, or to the node
of a Cluster that serves the slot of our keys, which all share one hash tag.

One route is shared by all clients of an address, so that what one of them learns holds for all.
"""

import time
from typing import Final, TypeAlias

from redis import exceptions as redis

from m10actors.recovery.hold import Hold
from m10actors.redis_address import Form, Host, RedisAddress, redis_address
from m10actors.streams.connection import NO_SUCH_URL, Reply, make_connection
from m10actors.streams.errors import Cause, RedisMisconfigured, RedisUnavailable, translate

Place: TypeAlias = Host | None
"""A host and its port; None is that of the address itself."""


class Route:
    """Always to the server of the address. Safe to use from many threads: each field is replaced, never changed."""

    follows = False
    """Whether a MOVED or ASK leads on."""

    def __init__(self, address: RedisAddress) -> None:
        self.address = address
        self.place: Place = None
        """Where the primary was when somebody looked last; what is connected elsewhere has to connect anew."""
        self.refused = False
        """Whether the server refused a command for want of a right, and nobody has looked which rights there are."""

    def find(self, deadline: float, hold: Hold) -> Place:  # noqa: ARG002 - nothing has to be asked
        """Where a new connection has to lead; StreamsError if nobody says so by `deadline` (monotonic clock)."""
        return None

    def moved(self, place: Host) -> None:
        """A node said that another one serves our slot."""
        self.place = place

    def lost(self, place: Place) -> None:
        """Nobody answered there, or not as a primary does."""


class SentinelRoute(Route):
    """Asks the Sentinels for every new connection, as https://redis.io/docs/latest/develop/reference/sentinel-clients/
    has it; the one that answered last comes first.
    """

    def __init__(self, address: RedisAddress) -> None:
        super().__init__(address)
        self._sentinels = address.hosts

    def find(self, deadline: float, hold: Hold) -> Place:
        failure, unknown = "", 0
        sentinels = self._sentinels
        for number, sentinel in enumerate(sentinels):
            now = time.monotonic()
            share = (deadline - now) / (len(sentinels) - number)  # one in a black hole leaves time for the others
            try:
                found = _ask(self.address.sentinel, sentinel, now + share, hold, self.address.service)
            except redis.RedisError as error:
                judged = translate(error)
                if isinstance(judged, RedisMisconfigured):
                    raise RedisMisconfigured(f"a Sentinel does not let us in: {judged}") from error
                failure = str(judged)
                continue
            if found:
                self._sentinels = (sentinel, *(other for other in sentinels if other != sentinel))
                self.place = str(found[0], "ascii", "replace"), int(found[1])
                return self.place
            unknown += 1
        self._sentinels = (*sentinels[1:], sentinels[0])
        if unknown:
            raise RedisMisconfigured(f"no Sentinel that answers watches a primary named {self.address.service}")
        raise RedisUnavailable(Cause.CONNECTION, f"none of {len(sentinels)} Sentinels answers: {failure}")


class ClusterRoute(Route):
    """To the node that a MOVED named last; without one, to the nodes of the address in turn: any of them names it."""

    follows = True

    def __init__(self, address: RedisAddress) -> None:
        super().__init__(address)
        self._nodes = address.hosts

    def find(self, deadline: float, hold: Hold) -> Place:  # noqa: ARG002 - a MOVED tells, nothing has to be asked
        return self.place or self._nodes[0]

    def lost(self, place: Place) -> None:
        if place in {self.place, self._nodes[0]}:
            self.place = None
            self._nodes = (*self._nodes[1:], self._nodes[0])


_ROUTES: Final[dict[Form, type[Route]]] = {
    Form.SERVER: Route,
    Form.SENTINEL: SentinelRoute,
    Form.CLUSTER: ClusterRoute,
}


def route_to(url: str) -> Route:
    """The route of an address; RedisMisconfigured, which does not quote it, if it is no good."""
    try:
        address = redis_address(url)
    except ValueError:
        raise RedisMisconfigured(NO_SUCH_URL) from None
    return _ROUTES[address.form](address)


def _ask(url: str, sentinel: Host, deadline: float, hold: Hold, service: str) -> Reply:
    connection = make_connection(url, deadline - time.monotonic())
    connection.aim(sentinel)
    connection.deadline = deadline
    try:
        with hold(connection.cut):
            connection.connect()
            connection.send_packed_command(connection.pack_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", service))
            return connection.read_response()
    finally:
        connection.disconnect()
