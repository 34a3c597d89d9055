"""A receiver of deliveries on the loopback interface: for `m10 dev`, `m10 demo` and tests.

It enters every request into a ledger and takes it, unless it is told to behave otherwise. One thread per connection,
HTTP/1.1 with keep-alive, bodies with a Content-Length only.
"""

import itertools
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from http import HTTPStatus
from http.client import HTTPMessage
from http.server import BaseHTTPRequestHandler
from typing import Any, Self

from m10actors.recovery import batch
from m10actors.testing.ledger import Ledger, Receipt

BODY_LIMIT = 16 * 1024 * 1024
_PHRASES = {int(status): status.phrase for status in HTTPStatus}


@dataclass(frozen=True, slots=True)
class Request:
    """A request that has come in whole; `number` counts from 1."""

    number: int
    method: str
    path: str
    headers: HTTPMessage
    body: bytes

    @property
    def key(self) -> str | None:
        return self.headers.get("idempotency-key")

    @property
    def token(self) -> int | None:
        """The fencing token: the epoch of the sender's lease."""
        text = self.headers.get("m10-fencing-token", "")
        return int(text) if text.isdecimal() else None


@dataclass(frozen=True, slots=True)
class Answer:
    """What to answer, and how badly.

    `delay` comes before the first byte and `drip` between any two, both in seconds; `never` keeps the connection open
    and silent, `drop` closes it without a word.
    """

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    delay: float = 0.0
    drip: float = 0.0
    never: bool = False
    drop: bool = False


TAKEN = Answer()


class Fence:
    """Behaviour of a receiver that honours fencing tokens: 412 for one that is older than the newest it has seen."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._newest = 0

    def __call__(self, request: Request) -> Answer:
        token = request.token or 0
        with self._lock:
            self._newest = max(self._newest, token)
            return TAKEN if token == self._newest else Answer(412)


class Receiver:
    """Listens on 127.0.0.1 while it is started; also a context manager.

    `answer` decides on each request and `on_delivery` is told of it, with how often its key has been taken by now; both
    are called in the thread of the connection, before the answer goes out. Both may be replaced at any time. Of a batch
    that `answer` takes as it is, each event is entered and told of for itself.
    """

    def __init__(
        self,
        port: int = 0,
        *,
        ledger: Ledger | None = None,
        answer: Callable[[Request], Answer] = lambda _: TAKEN,
        on_delivery: Callable[[Request, int], None] | None = None,
    ) -> None:
        self.ledger = ledger or Ledger()
        self.answer = answer
        self.on_delivery = on_delivery
        self._port = port
        self._numbers = itertools.count(1)
        self._server: _Server | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}/"

    def start(self) -> str:
        """Begins to listen and returns the url; OSError if the port is taken."""
        self._server = _Server(self._port, self._take)
        self._port = self._server.server_address[1]
        return self.url

    def stop(self) -> None:
        """Closes every connection and ends every thread. It may be started again, at the same port."""
        if self._server is not None:
            self._server.stop()
            self._server = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _take(self, method: str, path: str, headers: HTTPMessage, body: bytes) -> Answer:
        request = Request(next(self._numbers), method, path, headers, body)
        answer = self.answer(request)
        if headers.get_content_type() == batch.CONTENT_TYPE and answer == TAKEN:
            return self._take_batch(request)
        self._enter(request, request.key, body, answer.status)
        return answer

    def _take_batch(self, request: Request) -> Answer:
        """Every event of it, each entered for itself."""
        items = batch.decode(request.body)
        for item in items:
            self._enter(request, item.idempotency_key, item.body, TAKEN.status)
        return Answer(body=batch.encode_words({item.event_id: batch.Word(TAKEN.status) for item in items}))

    def _enter(self, request: Request, key: str | None, body: bytes, status: int) -> None:
        receipt = Receipt(key, sha256(body).hexdigest(), status, time.time(), request.token)
        taken = self.ledger.record(receipt)
        if self.on_delivery is not None:
            self.on_delivery(request, taken)


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128
    server_address: tuple[str, int]

    def __init__(self, port: int, take: Callable[[str, str, HTTPMessage, bytes], Answer]) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.take = take
        self.stopping = threading.Event()
        self.connections: dict[threading.Thread, socket.socket] = {}
        self._loop = threading.Thread(target=self.serve_forever, args=(0.05,), name="receiver", daemon=True)
        self._loop.start()

    def stop(self) -> None:
        self.stopping.set()
        self.shutdown()
        self._loop.join()
        self.server_close()
        for thread, connection in list(self.connections.items()):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            thread.join()

    def process_request(self, request: Any, client_address: Any) -> None:
        """One thread for each connection, known until it ends: `stop` waits for it."""
        thread = threading.Thread(target=self._converse, args=(request, client_address), name="receiver", daemon=True)
        self.connections[thread] = request
        thread.start()

    def _converse(self, request: Any, client_address: Any) -> None:
        try:
            self.process_request_thread(request, client_address)
        finally:
            del self.connections[threading.current_thread()]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server
    headers: HTTPMessage

    def handle(self) -> None:
        with suppress(ConnectionError):
            super().handle()

    def log_message(self, *_: object) -> None:
        """The ledger is the log."""

    def _serve(self) -> None:
        length = self.headers.get("content-length", "0")
        if "transfer-encoding" in self.headers or not length.isdecimal():
            return self._answer(Answer(411), last=True)
        if int(length) > BODY_LIMIT:
            return self._answer(Answer(413), last=True)
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            self.close_connection = True
            return None
        return self._answer(self.server.take(self.command, self.path, self.headers, body))

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815 (names of the base class)

    def _answer(self, answer: Answer, *, last: bool = False) -> None:
        self.close_connection |= last or answer.never or answer.drop
        if answer.delay or answer.never:
            self.server.stopping.wait(None if answer.never else answer.delay)
        if answer.never or answer.drop:
            return
        headers = {"content-length": str(len(answer.body)), **answer.headers}
        head = [f"HTTP/1.1 {answer.status} {_PHRASES.get(answer.status, '-')}"]
        head += [f"{name}: {value}" for name, value in headers.items()]
        if self.close_connection:
            head.append("connection: close")
        self._write("\r\n".join([*head, "", ""]).encode("latin-1") + answer.body, answer.drip)

    def _write(self, raw: bytes, drip: float) -> None:
        if not drip:
            self.wfile.write(raw)
            return
        for at in range(len(raw)):
            self.wfile.write(raw[at : at + 1])
            if self.server.stopping.wait(drip):
                return
