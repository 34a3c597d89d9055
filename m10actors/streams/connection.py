"""redis-py's connections with two changes: no command is ever sent twice, and an exchange ends by one deadline.

redis-py 8 repeats every command up to ten times, also an XADD whose reply was lost, and its timeouts are per read: a
reply that trickles in is never too late. Here retries are off, whatever the URL says, and each connection has a
`deadline` (monotonic clock) that bounds connecting, the handshake, sending and receiving together. Not bounded: the
resolution of a host name, which the C library does not let go of.
"""

import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, Protocol, cast

from redis.backoff import NoBackoff
from redis.connection import AbstractConnection, Connection, SSLConnection, UnixDomainSocketConnection, parse_url
from redis.retry import Retry

from m10actors.redis_address import Host
from m10actors.streams.errors import RedisMisconfigured

NO_SUCH_URL: Final = "the Redis URL cannot be used: scheme, port or a parameter is wrong"

Command = tuple[str | bytes | int, ...]
Packed = bytes
"""A command as it goes over the wire."""

Reply = Any
"""What RESP2 has: bytes, int, None, or a list of these."""


class Wire(Protocol):
    """The part of redis-py's connection that the client uses."""

    deadline: float
    host: str
    place: Host | None

    @property
    def connected(self) -> bool: ...
    def aim(self, place: Host | None) -> None: ...
    def connect(self) -> None: ...
    def can_read(self, timeout: float = 0) -> bool: ...
    def pack_command(self, *words: str | bytes | int) -> list[bytes]: ...
    def send_packed_command(self, command: list[bytes]) -> None: ...
    def read_response(self) -> Reply: ...
    def on_connect(self) -> None: ...
    def disconnect(self) -> None: ...
    def cut(self) -> None: ...


class _DeadlineSocket:
    """A socket whose every call gets what is left of its connection's time, and none when it is only polled."""

    def __init__(self, sock: socket.socket, time_left: Callable[[], float]) -> None:
        self._sock = sock
        self._time_left = time_left
        self._polled = False
        self._closing = threading.Lock()

    def cut(self) -> None:
        """Makes a call that waits return, from another thread."""
        # Not while it is closed: the number of its file may belong to another socket by the time it is shut. A TLS
        # socket is shut below TLS, for its own shutdown would touch what the waiting thread uses.
        with self._closing, suppress(OSError):
            socket.socket.shutdown(self._sock, socket.SHUT_RDWR)

    def close(self) -> None:
        with self._closing:
            self._sock.close()

    def settimeout(self, timeout: float | None) -> None:
        """What redis-py asks for: 0 to look whether anything has come, otherwise a time that the deadline replaces."""
        self._polled = timeout == 0

    def recv_into(self, buffer: bytearray) -> int:
        self._set_time()
        return self._sock.recv_into(buffer)

    def recv(self, size: int, flags: int = 0) -> bytes:
        self._set_time()
        return self._sock.recv(size, flags)

    def sendall(self, data: bytes) -> None:
        self._set_time()
        self._sock.sendall(data)

    def _set_time(self) -> None:
        self._sock.settimeout(0 if self._polled else self._time_left())

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)


class _Deadline(AbstractConnection):
    """Mixed into redis-py's connection classes: a deadline for all that is done next, and another host for the next
    time that it connects.
    """

    deadline = 0.0
    place: Host | None = None

    @property
    def connected(self) -> bool:
        """Whether it was, when it was used last."""
        return self._sock is not None

    def aim(self, place: Host | None) -> None:
        """Where it connects to next; None: to the host of the URL."""
        if place is not None:
            self.host, self.port = place
        self.place = place

    def _connect(self) -> _DeadlineSocket:
        self.socket_connect_timeout = self.socket_timeout = self._time_left()  # the second is for the handshake of TLS
        return _DeadlineSocket(super()._connect(), self._time_left)  # type: ignore[safe-super, no-untyped-call]

    def cut(self) -> None:
        """Ends what is done now, from another thread: at once where it waits for the server, or at its next step."""
        self.deadline = 0.0
        sock = cast(_DeadlineSocket | None, self._sock)
        if sock is not None:
            sock.cut()

    def _time_left(self) -> float:
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left


class _TcpConnection(_Deadline, Connection):
    pass


class _TlsConnection(_Deadline, SSLConnection):
    pass


class _UnixConnection(_Deadline, UnixDomainSocketConnection):
    pass


_WITH_DEADLINE: Final[dict[type, type]] = {SSLConnection: _TlsConnection, UnixDomainSocketConnection: _UnixConnection}


def make_connection(url: str, timeout_s: float, on_connect: Callable[[Wire], None] | None = None) -> Wire:
    """A connection to redis://, rediss:// or unix://, not yet connected; RedisMisconfigured if the URL is no good."""
    try:
        options = parse_url(url)  # type: ignore[no-untyped-call]
        connection_class = _WITH_DEADLINE.get(options.pop("connection_class", Connection), _TcpConnection)
        return cast(Wire, connection_class(**options | _ours(timeout_s, on_connect)))
    except (TypeError, ValueError):
        # Neither the text nor the chain: urllib quotes parts of what it cannot read, and those may be the password.
        raise RedisMisconfigured(NO_SUCH_URL) from None


def _ours(timeout_s: float, on_connect: Callable[[Wire], None] | None) -> dict[str, object]:
    return {
        "retry": Retry(NoBackoff(), 0),
        "retry_on_timeout": False,
        "retry_on_error": [],
        "health_check_interval": 0,
        "decode_responses": False,
        "protocol": 2,
        "socket_timeout": timeout_s,
        "socket_connect_timeout": timeout_s,
        "redis_connect_func": on_connect,
    }
