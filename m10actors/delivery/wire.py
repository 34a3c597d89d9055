"""A socket of which every operation is held to one deadline.

The timeout of a socket, of `http.client` and of urllib3 is one per read, and a server that drips its answer keeps a
thread for ever (urllib3, total=1.0, 12 bytes at 0.4 s: 4.8 s). Here each operation waits for what the attempt has left.
"""

import io
import select
import socket
import ssl
import threading
import time
from collections.abc import Sequence
from contextlib import suppress

from m10actors.delivery.resolver import Place

ANSWER_LIMIT = 512 * 1024
"""Raw bytes that one answer may have in all: status line, headers, interim answers, chunk frames and 64 kB of body."""


class Deadline:
    """A point on the monotonic clock: the end of one attempt, which another thread may bring forward."""

    def __init__(self, seconds: float) -> None:
        self._at = time.monotonic() + seconds
        self._sock: socket.socket | None = None
        self._lock = threading.Lock()

    def waits_on(self, sock: socket.socket | None) -> None:
        """What the attempt waits on from now on; None before that is closed."""
        with self._lock:
            self._sock = sock

    def cut(self) -> None:
        """Ends the attempt, from another thread: what it waits for returns, and its next step is too late."""
        # Not while the socket is closed: the number of its file may belong to another one by the time it is shut. And
        # below TLS, whose own shutdown would touch what the waiting thread uses.
        self._at = 0.0
        with self._lock, suppress(OSError):
            if self._sock is not None:
                socket.socket.shutdown(self._sock, socket.SHUT_RDWR)

    def left(self) -> float:
        """Seconds that are left, more than 0; TimeoutError when there are none."""
        left = self._at - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left


class Wire:
    """A connected socket."""

    def __init__(self, sock: socket.socket, deadline: Deadline) -> None:
        self._sock = sock
        self._deadline = deadline

    def serve(self, deadline: Deadline) -> None:
        """From now on this is the attempt under way."""
        self._deadline = deadline
        deadline.waits_on(self._sock)

    def send(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            self._sock.settimeout(self._deadline.left())
            rest = rest[self._sock.send(rest) :]

    def receive_into(self, buffer: memoryview) -> int:
        self._sock.settimeout(self._deadline.left())
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
        self._deadline.waits_on(None)
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
        deadline.waits_on(sock)
        try:
            sock.settimeout(deadline.left() / (len(places) - tried))
            sock.connect(place.sockaddr)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            deadline.waits_on(None)
            sock.close()
            failure = error
        else:
            return sock
    raise failure


def secure(sock: socket.socket, context: ssl.SSLContext, host: str, deadline: Deadline) -> ssl.SSLSocket:
    """TLS over `sock`, verified for `host`; an OSError (ssl.SSLError is one) closes the socket."""
    try:
        sock = tls = context.wrap_socket(sock, server_hostname=host, do_handshake_on_connect=False)
        deadline.waits_on(tls)
        tls.settimeout(deadline.left())
        tls.do_handshake()
    except OSError:
        deadline.waits_on(None)
        sock.close()
        raise
    return tls
