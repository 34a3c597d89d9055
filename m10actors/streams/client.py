"""Commands to Redis, each within one deadline and each sent at most once; every failure is an error of ours."""

import time
from collections.abc import Sequence
from datetime import timedelta
from queue import Empty, LifoQueue
from typing import Final

from redis import exceptions as redis

from m10actors.recovery.dependency import Condition, Dependency
from m10actors.recovery.hold import Hold, unheld
from m10actors.redis_address import Form, Host
from m10actors.streams.connection import Command, Packed, Reply, Wire, make_connection
from m10actors.streams.errors import (
    Cause,
    RedisMisconfigured,
    RedisRightMissing,
    RedisUnavailable,
    StreamsError,
    translate,
)
from m10actors.streams.exchange import exchange, is_stale, raise_first
from m10actors.streams.redirections import followed
from m10actors.streams.route import Route, route_to

_GONE: Final = frozenset({Cause.CONNECTION, Cause.TIMEOUT, Cause.CLUSTERDOWN})
"""What tells that a node is not the one to ask."""


class RedisClient:
    """A few connections that any number of threads share, to wherever the route of its address leads.

    `timeout` is for all of an operation: waiting for a free connection, connecting, logging in, sending, every reply.
    Nothing is retried: after RedisUnavailable the command may still be carried out, later, by a server that was slow.
    While `dependency` is down nothing is sent. `hold` is entered around each operation.
    """

    def __init__(
        self,
        where: str | Route,
        *,
        timeout: timedelta,
        connections: int = 8,
        dependency: Dependency | None = None,
        hold: Hold = unheld,
    ) -> None:
        self._route = route_to(where) if isinstance(where, str) else where
        self._timeout = timeout
        self._dependency = dependency or Dependency("redis")
        self._hold = hold
        self._closed = False
        self._offered: dict[str | bytes | int, bool] = {}
        # Last in, first out: the connections that are connected come first, spare ones are never opened.
        self._idle: LifoQueue[Wire] = LifoQueue()
        for _ in range(connections):
            self._idle.put(make_connection(self._route.address.server, timeout.total_seconds(), self._on_connect))

    @property
    def timeout(self) -> timedelta:
        """How long an operation may take."""
        return self._timeout

    @property
    def form(self) -> Form:
        """Who stands behind the address."""
        return self._route.address.form

    def dedicated(self) -> "BlockingClient":
        """A client of one connection to the same server, for commands that block."""
        return BlockingClient(self._route, timeout=self._timeout, dependency=self._dependency, hold=self._hold)

    def apart(self) -> "RedisClient":
        """A client of one connection to the same server, which asks also while the dependency is down."""
        return RedisClient(self._route, timeout=self._timeout, connections=1)

    def call(self, *command: str | bytes | int, timeout: timedelta | None = None) -> Reply:
        """The reply to one command."""
        [reply] = self._exchange([command], timeout or self._timeout)
        return reply

    def attempt(self, commands: Sequence[Command]) -> list[Reply | StreamsError]:
        """The replies to commands sent in one go, and in the place of a reply the error that the server gave."""
        replies = self._exchange(commands, self._timeout, whole=False)
        return [translate(reply) if isinstance(reply, redis.RedisError) else reply for reply in replies]

    def was_refused(self) -> bool:
        """Whether a command was refused for want of a right, to any client of this address, since this was asked
        last.
        """
        refused, self._route.refused = self._route.refused, False
        return refused

    def pipeline(self, commands: Sequence[Command | Packed]) -> list[Reply]:
        """The replies to commands sent in one go. All are carried out; the first error among the replies is raised."""
        return self._exchange(commands, self._timeout)

    def transaction(self, commands: Sequence[Command]) -> list[Reply]:
        """The replies to commands that take effect together or not at all."""
        return self._exchange(commands, self._timeout, atomic=True)

    def offers(self, *harmless: str | bytes | int) -> bool:
        """Whether the server knows a command and lets us use it, tried in a form that changes nothing: neither its
        version nor its list of commands tells both. Tried again after each connection: it may be another server then.
        """
        name = harmless[0]
        offered = self._offered.get(name)
        if offered is None:
            try:
                self.call(*harmless)
                offered = True
            except RedisMisconfigured:
                offered = False
            self._offered[name] = offered
        return offered

    def close(self) -> None:
        """Disconnects; connections in use are disconnected as they come back."""
        self._closed = True
        self._disconnect_idle()

    def _on_connect(self, connection: Wire) -> None:
        connection.on_connect()
        self._offered = {}

    def _exchange(
        self, commands: Sequence[Command | Packed], timeout: timedelta, *, atomic: bool = False, whole: bool = True
    ) -> list[Reply]:
        """The replies; where one is an error, `whole` raises the first."""
        deadline = time.monotonic() + timeout.total_seconds()
        self._refuse_while_down()
        connection = self._borrow(timeout)
        connection.deadline = deadline
        try:
            with self._hold(connection.cut):
                self._lead(connection)
                replies = exchange(connection, commands, atomic=atomic)
                if self._route.follows:
                    replies = followed(self._route, connection, commands, replies, self._hold, atomic=atomic)
            if whole:
                raise_first(replies)
        except redis.RedisError as error:
            judged = translate(error)
            self._learn(judged, connection)
            raise judged from error
        except StreamsError as error:
            self._learn(error, connection)
            raise
        else:
            return replies
        finally:
            self._give_back(connection)

    def _lead(self, connection: Wire) -> None:
        """Has it connected to where the route leads now."""
        elsewhere = self._route.place not in {None, connection.place}
        if not connection.connected or elsewhere or is_stale(connection):
            connection.disconnect()
            connection.aim(self._route.find(connection.deadline, self._hold))
            connection.connect()

    def _refuse_while_down(self) -> None:
        health = self._dependency.health
        if health.condition is Condition.DOWN:
            raise RedisUnavailable(Cause.KNOWN_DOWN, health.reason)

    def _borrow(self, timeout: timedelta) -> Wire:
        try:
            return self._idle.get(timeout=timeout.total_seconds())
        except Empty:
            detail = f"no connection became free within {timeout.total_seconds()} s"
            raise RedisUnavailable(Cause.POOL_EXHAUSTED, detail) from None

    def _give_back(self, connection: Wire) -> None:
        self._idle.put(connection)
        if self._closed:
            self._disconnect_idle()

    def _learn(self, error: StreamsError, connection: Wire) -> None:
        match error:
            case RedisUnavailable(cause=Cause.READONLY):
                # Behind a virtual address a connection stays with the demoted server for ever: look up the primary
                # again.
                connection.disconnect()
                self._disconnect_idle()
            case RedisUnavailable(cause=cause) if cause in _GONE:
                self._route.lost(connection.place)
            case RedisRightMissing():
                self._route.refused = True
        if isinstance(error, (RedisUnavailable, RedisRightMissing)):
            self._dependency.suspect()

    def _disconnect_idle(self) -> None:
        idle: list[Wire] = []
        while True:
            try:
                idle.append(self._idle.get_nowait())
            except Empty:
                break
        for connection in idle:
            connection.disconnect()
            self._idle.put(connection)


class BlockingClient(RedisClient):
    """One connection, and the id that the server knows it by: with that, another connection can end its wait."""

    def __init__(self, route: Route, *, timeout: timedelta, dependency: Dependency, hold: Hold) -> None:
        self._known_as: tuple[Host | None, int | None] = None, None
        super().__init__(route, timeout=timeout, connections=1, dependency=dependency, hold=hold)

    @property
    def client_id(self) -> int | None:
        """None where nobody can end its wait: that is not permitted, or the route leads to another server by now, to
        which the id may be that of somebody else.
        """
        place, client_id = self._known_as
        return client_id if self._route.place in {None, place} else None

    def _on_connect(self, connection: Wire) -> None:
        super()._on_connect(connection)
        [reply] = exchange(connection, [("CLIENT", "ID")])
        self._known_as = connection.place, reply if isinstance(reply, int) else None
