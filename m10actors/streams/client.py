"""Commands to Redis, each within one deadline and each sent at most once; every failure is an error of ours."""

import time
from collections.abc import Sequence
from datetime import timedelta
from queue import Empty, LifoQueue

from redis import exceptions as redis

from m10actors.recovery.dependency import Condition, Dependency
from m10actors.recovery.hold import Hold, unheld
from m10actors.streams.connection import Command, Reply, Wire, make_connection
from m10actors.streams.errors import Cause, RedisMisconfigured, RedisUnavailable, StreamsError, translate


class RedisClient:
    """A few connections that any number of threads share.

    `timeout` is for all of an operation: waiting for a free connection, connecting, logging in, sending, every reply.
    Nothing is retried: after RedisUnavailable the command may still be carried out, later, by a server that was slow.
    While `dependency` is down nothing is sent. `hold` is entered around each operation.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout: timedelta,
        connections: int = 8,
        dependency: Dependency | None = None,
        hold: Hold = unheld,
    ) -> None:
        self._url = url
        self._timeout = timeout
        self._dependency = dependency or Dependency("redis")
        self._hold = hold
        self._closed = False
        self._offered: dict[str | bytes | int, bool] = {}
        # Last in, first out: the connections that are connected come first, spare ones are never opened.
        self._idle: LifoQueue[Wire] = LifoQueue()
        for _ in range(connections):
            self._idle.put(make_connection(url, timeout.total_seconds(), self._on_connect))

    @property
    def timeout(self) -> timedelta:
        """How long an operation may take."""
        return self._timeout

    def dedicated(self) -> "BlockingClient":
        """A client of one connection to the same server, for commands that block."""
        return BlockingClient(self._url, timeout=self._timeout, dependency=self._dependency, hold=self._hold)

    def call(self, *command: str | bytes | int, timeout: timedelta | None = None) -> Reply:
        """The reply to one command."""
        [reply] = self._exchange([command], timeout or self._timeout)
        return reply

    def pipeline(self, commands: Sequence[Command]) -> list[Reply]:
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

    def _exchange(self, commands: Sequence[Command], timeout: timedelta, *, atomic: bool = False) -> list[Reply]:
        deadline = time.monotonic() + timeout.total_seconds()
        self._refuse_while_down()
        connection = self._borrow(timeout)
        connection.deadline = deadline
        try:
            with self._hold(connection.cut):
                return _in_one_step(connection, commands) if atomic else _in_one_go(connection, commands)
        except redis.RedisError as error:
            raise self._judged(error, connection) from error
        finally:
            self._give_back(connection)

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

    def _judged(self, error: redis.RedisError, connection: Wire) -> StreamsError:
        judged = translate(error)
        if isinstance(judged, RedisUnavailable) and judged.cause is Cause.READONLY:
            # Behind a virtual address a connection stays with the demoted server for ever: look up the primary again.
            connection.disconnect()
            self._disconnect_idle()
        if isinstance(judged, RedisUnavailable):
            self._dependency.suspect()
        return judged

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

    def __init__(self, url: str, *, timeout: timedelta, dependency: Dependency, hold: Hold) -> None:
        self.client_id: int | None = None
        super().__init__(url, timeout=timeout, connections=1, dependency=dependency, hold=hold)

    def _on_connect(self, connection: Wire) -> None:
        super()._on_connect(connection)
        connection.send_packed_command(connection.pack_commands([("CLIENT", "ID")]))
        reply = _reply(connection)
        self.client_id = reply if isinstance(reply, int) else None  # not permitted: then nobody can end its wait


def _in_one_step(connection: Wire, commands: Sequence[Command]) -> list[Reply]:
    *_, replies = _in_one_go(connection, [("MULTI",), *commands, ("EXEC",)])
    _raise_first(replies)
    return list(replies)


def _in_one_go(connection: Wire, commands: Sequence[Command]) -> list[Reply]:
    connection.connect()
    if _is_stale(connection):
        connection.disconnect()
        connection.connect()
    connection.send_packed_command(connection.pack_commands(commands))
    replies = [_reply(connection) for _ in commands]
    _raise_first(replies)
    return replies


def _is_stale(connection: Wire) -> bool:
    """Whether the server closed the connection while it lay idle, or something lies in it that nobody asked for."""
    try:
        return connection.can_read()
    except (redis.ConnectionError, OSError):
        return True


def _reply(connection: Wire) -> Reply:
    """One reply. An error reply is a value here, so that those after it are read too: the connection stays in step."""
    try:
        return connection.read_response()
    except redis.ResponseError as error:
        return error


def _raise_first(replies: Sequence[Reply]) -> None:
    for reply in replies:
        if isinstance(reply, redis.RedisError):
            raise reply
