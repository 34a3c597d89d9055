"""Failures of HTTP calls, against a local server that is overloaded, strict, slow, or broken."""

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from report import Report, provoke

LOOPBACK = "127.0.0.1"
SOON = 0.05  # seconds

# path, status, how often, who calls
STATUSES = (
    ("/search?q={0}", 429, 14, "crawler"),
    ("/v1/charges/{0}", 503, 12, "payments"),
    ("/v1/refunds/{0}", 502, 6, "payments"),
    ("/v1/invoices/{0}", 500, 10, "billing"),
    ("/v1/reports/{0}", 504, 5, "reports"),
    ("/admin/users/{0}", 403, 6, "backoffice"),
    ("/v1/session", 401, 6, "mobile"),
    ("/v1/items/{0}", 404, 5, "search"),
    ("/v1/uploads/{0}", 413, 4, "media"),
)


class HttpStatusError(Exception):
    """GET {path} was answered with {status} {reason}"""

    def __init__(self, path: str, status: int, reason: str) -> None:
        super().__init__(f"GET {path} was answered with {status} {reason}")
        self.status = status


class _Handler(BaseHTTPRequestHandler):
    """Answers a path with its status of STATUSES; /slow never, /half with less than announced, /noise with no HTTP."""

    def do_GET(self) -> None:
        match self.path.split("/")[1]:
            case "slow":
                self.server.released.wait(10)  # type: ignore[attr-defined]
            case "half":
                self.send_response(200)
                self.send_header("Content-Length", "1000")
                self.end_headers()
                self.wfile.write(b"half of it")
            case "noise":
                self.wfile.write(b"\x16\x03 this is no HTTP\r\n\r\n")
            case "hang-up":
                pass
            case _:
                self.send_error(
                    next(status for path, status, *_ in STATUSES if self.path.startswith(path.split("{")[0]))
                )
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the class above
        """Says nothing: the failures are reported by who called."""


@contextmanager
def _serving() -> Iterator[int]:
    with ThreadingHTTPServer((LOOPBACK, 0), _Handler) as server:
        server.released = threading.Event()  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.released.set()  # type: ignore[attr-defined]
            server.shutdown()
            thread.join()


def calls(_folder: Path) -> Iterator[Report]:
    """Answers that are no success, answers that are none, and no answer."""
    with _serving() as port:
        for path, status, times, source in STATUSES:
            for number in range(1, times + 1):
                here = path.format(number * 37)
                yield provoke(
                    "http status",
                    source,
                    partial(_get, port, here),
                    HttpStatusError,
                    name=_code,
                    path=here,
                    status=status,
                )
        for number in range(1, 9):
            for path in (f"/slow/{number}", f"/half/{number}", f"/noise/{number}", f"/hang-up/{number}"):
                yield provoke(
                    "http broken",
                    "feeds",
                    partial(_get, port, path),
                    http.client.HTTPException,
                    ConnectionError,
                    TimeoutError,
                    path=path,
                )


def _get(port: int, path: str) -> None:
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=SOON if path.startswith("/slow") else 5)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
    finally:
        connection.close()
    if answer.status >= 400:
        raise HttpStatusError(path, answer.status, answer.reason)


def _code(error: Exception) -> str:
    return f"HTTP_{error.status}" if isinstance(error, HttpStatusError) else type(error).__name__
