"""A socket of which every operation is held to one deadline.

The timeout of a socket, of `http.client` and of urllib3 is one per read, and a server that drips its answer keeps a
thread for ever (urllib3, total=1.0, 12 bytes at 0.4 s: 4.8 s). Here each operation waits for what the attempt has left.
"""

import io
import select
import socket
import ssl
import time
from collections.abc import Sequence

from m10actors.delivery.resolver import Place

ANSWER_LIMIT = 512 * 1024
"""Raw bytes that one answer may have in all: status line, headers, interim answers, chunk frames and 64 kB of body."""


class Deadline:
    """A point on the monotonic clock."""

    def __init__(self, seconds: float) -> None:
        self._at = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds that are left, more than 0; TimeoutError when there are none."""
        left = self._at - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left


class Wire:
    """A connected socket. `deadline` is that of the attempt under way."""

    def __init__(self, sock: socket.socket, deadline: Deadline) -> None:
        self._sock = sock
        self.deadline = deadline

    def send(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            self._sock.settimeout(self.deadline.left())
            rest = rest[self._sock.send(rest) :]

    def receive_into(self, buffer: memoryview) -> int:
        self._sock.settimeout(self.deadline.left())
        return self._sock.recv_into(buffer)

    def makefile(self, _mode: str) -> io.BufferedReader:
        """What `http.client.HTTPResponse` reads one answer from; closing it leaves the socket open for the next one."""
        return io.BufferedReader(_Answer(self))

    def is_quiet(self) -> bool:
        """Whether nothing has come since the last answer; an idle connection that says something is ending."""
        poll = select.poll()
        poll.register(self._sock, select.POLLIN)
        return not poll.poll(0)

    def close(self) -> None:
        self._sock.close()


class _Answer(io.RawIOBase):
    """The bytes of one answer."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._left = ANSWER_LIMIT

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        if self._left <= 0:
            raise OverflowError
        count = self._wire.receive_into(buffer)
        self._left -= count
        return count


def connect(places: Sequence[Place], deadline: Deadline) -> socket.socket:
    """A connection to the first of `places` that takes one, each with its share of the time; else the last OSError."""
    failure: OSError = ConnectionRefusedError()
    for tried, place in enumerate(places):
        sock = socket.socket(place.family, socket.SOCK_STREAM)
        try:
            sock.settimeout(deadline.left() / (len(places) - tried))
            sock.connect(place.sockaddr)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            sock.close()
            failure = error
        else:
            return sock
    raise failure


def secure(sock: socket.socket, context: ssl.SSLContext, host: str, deadline: Deadline) -> ssl.SSLSocket:
    """TLS over `sock`, verified for `host`; an OSError (ssl.SSLError is one) closes the socket."""
    try:
        sock.settimeout(deadline.left())
        return context.wrap_socket(sock, server_hostname=host)
    except OSError:
        sock.close()
        raise
