"""One HTTP/1.1 connection to a destination, and the few that are kept open for each."""

import ssl
import threading
import time
from collections.abc import Mapping
from errno import errorcode
from http.client import HTTPException, HTTPResponse, RemoteDisconnected
from socket import socket
from typing import cast

from m10actors.delivery.destination import Url
from m10actors.delivery.errors import ClosedWhileIdle, NoAnswer
from m10actors.delivery.outcome import Answer
from m10actors.delivery.text import excerpt
from m10actors.delivery.wire import Deadline, Wire
from m10actors.testing.failpoints import failpoint

BODY_LIMIT = 64 * 1024
_MAX_AGE = 60.0
_KEPT = 16
# RemoteDisconnected is a ConnectionResetError; TLS has its own words for the two ends of a connection.
_ENDED = (ConnectionResetError, BrokenPipeError, ssl.SSLEOFError, ssl.SSLZeroReturnError)


class Connection:
    """Exchanges one request at a time. `http.client` parses; whatever needs a deadline or a limit is in the Wire."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._opened_at = time.monotonic()
        self._used = False
        self.reusable = False

    def exchange(self, url: Url, method: str, headers: Mapping[str, str], body: bytes, deadline: Deadline) -> Answer:
        """Sends one request and reads its whole answer. NoAnswer leaves the connection closed."""
        self._wire.serve(deadline)
        self.reusable = False
        used, self._used = self._used, True
        response = HTTPResponse(cast(socket, self._wire), method=method)
        try:
            self._wire.send(_request(url, method, headers, body))
            failpoint("outbox.after_send")
            response.begin()
            answer, self.reusable = _read(response)
        except _ENDED as error:
            # http.client knows no status yet: not one byte of an answer has come.
            idle = used and not isinstance(response.status, int)
            raise (ClosedWhileIdle if idle else NoAnswer)(describe(error)) from error
        except (OSError, HTTPException, ValueError, OverflowError) as error:
            # ValueError: http.client on a negative chunk size. OverflowError: the limit of the Wire.
            raise NoAnswer(describe(error)) from error
        finally:
            response.close()
            if not self.reusable:
                self.close()
        return answer

    def is_fresh(self) -> bool:
        """Whether it may carry another request; its age is bounded, so that a new address of the name is noticed."""
        return time.monotonic() - self._opened_at < _MAX_AGE and self._wire.is_quiet()

    def close(self) -> None:
        self._wire.close()


class Pool:
    """The idle connections to one origin, the last used first. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: list[Connection] = []
        self._closed = False

    def take(self) -> Connection | None:
        """An idle connection that still looks alive, or None."""
        while True:
            with self._lock:
                if not self._idle:
                    return None
                connection = self._idle.pop()
            if connection.is_fresh():
                return connection
            connection.close()

    def give_back(self, connection: Connection) -> None:
        with self._lock:
            if not self._closed and len(self._idle) < _KEPT:
                self._idle.append(connection)
                return
        connection.close()

    def close(self) -> None:
        """Closes the idle ones now and those in use when they come back."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()


def describe(error: BaseException) -> str:
    """A failure in a few words of our own; of foreign text only what OpenSSL says about a certificate, escaped."""
    match error:
        case TimeoutError():
            what = "deadline"
        case OverflowError():
            what = "answer_too_long"
        case ssl.SSLCertVerificationError():
            what = f"tls_certificate: {excerpt(error.verify_message)}"
        case ssl.SSLError():
            what = f"tls_failed: {excerpt(error.reason or 'unknown')}"
        case RemoteDisconnected():
            what = "closed_without_answer"
        case OSError(errno=int(number)):
            what = f"network: {errorcode.get(number, number)}"
        case _:
            what = f"bad_answer: {type(error).__name__}"
    return what


def _request(url: Url, method: str, headers: Mapping[str, str], body: bytes) -> bytes:
    lines = [f"{method} {url.target} HTTP/1.1", f"host: {url.authority}", "accept-encoding: identity"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    lines += [f"content-length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode("ascii") + body


def _read(response: HTTPResponse) -> tuple[Answer, bool]:
    """The answer, and whether the connection is at its end and may be used again."""
    body = response.read(BODY_LIMIT)
    if response.length and len(body) < BODY_LIMIT:
        # http.client takes a body that ends too early for a whole one.
        raise NoAnswer("answer_cut_off")
    reusable = response.isclosed() and not response.will_close
    return Answer(response.status, response.getheader("retry-after"), body), reusable
