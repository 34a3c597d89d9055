"""Following a Cluster while a slot moves from one node to another.

A node that serves our slot no more says MOVED and where it went: so it stays. One that is handing it over says ASK for
each key that is over there already: that holds for this once. What was answered so was not carried out, so it may be
sent again. https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/
"""

import time
from collections.abc import Sequence
from typing import Final

from redis import exceptions as redis

from m10actors.recovery.hold import Hold
from m10actors.redis_address import Host
from m10actors.streams.connection import Command, Packed, Reply, Wire, make_connection
from m10actors.streams.exchange import exchange
from m10actors.streams.route import Route

_MOST: Final = 5
"""Redirections of one exchange, after which it is an outage: two nodes that send one another what neither serves."""


def followed(
    route: Route,
    connection: Wire,
    commands: Sequence[Command | Packed],
    replies: list[Reply],
    hold: Hold,
    *,
    atomic: bool,
) -> list[Reply]:
    """The replies with those in the place of redirections that the nodes gave to which they point."""
    for _ in range(_MOST):
        first = next((reply for reply in replies if isinstance(reply, redis.AskError)), None)
        if first is None:
            break
        alike = [number for number, reply in enumerate(replies) if _goal(reply) == _goal(first)]
        again = [commands[number] for number in alike]
        place = (first.host or connection.host, first.port)  # without a host: the one that was asked
        if isinstance(first, redis.MovedError):
            route.moved(place)
            connection.disconnect()
            connection.aim(place)
            connection.connect()
            answers = exchange(connection, again, atomic=atomic)
        else:
            answers = _asked(route, connection, place, again, hold, atomic=atomic)
        for number, answer in zip(alike, answers, strict=True):
            replies[number] = answer
    return replies


def _goal(reply: Reply) -> tuple[type, Host] | None:
    """Where a redirection points to, and for how long; MOVED is a kind of ASK to the library."""
    return (type(reply), (reply.host, reply.port)) if isinstance(reply, redis.AskError) else None


def _asked(
    route: Route, connection: Wire, place: Host, commands: Sequence[Command | Packed], hold: Hold, *, atomic: bool
) -> list[Reply]:
    """What another node says, over a connection for this once."""
    other = make_connection(route.address.server, connection.deadline - time.monotonic())
    other.deadline = connection.deadline
    other.aim(place)
    try:
        with hold(other.cut):
            other.connect()
            return exchange(other, commands, atomic=atomic, asking=True)
    finally:
        other.disconnect()
