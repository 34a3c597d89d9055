"""What the tests of delivery share: a way to make one attempt, and servers that break HTTP."""

import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from uuid import UUID

from m10actors.delivery import Deliverer, Destination, Event, Outcome
from m10actors.delivery.outcome import Retry
from m10actors.testing.proxy import FaultProxy
from m10actors.testing.receiver import Receiver

LOOPBACK = (ip_network("127.0.0.0/8"),)


def destination(url: str, name: str = "ops", seconds: float = 20, **more: Any) -> Destination:
    """A destination of a test: http on loopback, with a deadline that no healthy attempt meets."""
    return Destination(
        name, url, timedelta(seconds=seconds), **{"allow_http": True, "allow_networks": LOOPBACK, **more}
    )


def event(id: int = 1, payload: bytes = b'{"data": {"n": 1.10}}', to: str = "ops") -> Event:  # noqa: A002
    return Event(id, UUID(int=id), "candidate", "1", "webhook:recovery", payload, to, 0, f"{id:032x}")


@contextmanager
def deliverer(*destinations: Destination, **more: Any) -> Iterator[Deliverer]:
    made = Deliverer({each.name: each for each in destinations}, **more)
    try:
        yield made
    finally:
        made.close()


def delivered_to(url: str, seconds: float = 20, **more: Any) -> Outcome:
    """The outcome of one attempt at `url`, on a connection of its own."""
    with deliverer(destination(url, seconds=seconds, **more)) as to:
        return to.deliver(event(), epoch=3)


def unanswered(error: str) -> Retry:
    """What an attempt is that the receiver may have seen."""
    return Retry(error, counted=True)


def proxy_before(receiver: Receiver) -> FaultProxy:
    return FaultProxy(("127.0.0.1", int(receiver.url[:-1].rpartition(":")[2])))


def url_of(proxy: FaultProxy) -> str:
    assert not isinstance(proxy.address, Path)
    host, port = proxy.address
    return f"http://{host}:{port}/"


def read_request(connection: socket.socket) -> bytes:
    """One request, whole; empty if the other side has closed."""
    raw = b""
    while b"\r\n\r\n" not in raw:
        if not (more := connection.recv(65536)):
            return b""
        raw += more
    head, _, body = raw.partition(b"\r\n\r\n")
    length = next(int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
    while len(body) < length:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


@contextmanager
def raw_server(*scripts: Callable[[socket.socket], None], host: str = "127.0.0.1") -> Iterator[str]:
    """The url of a server that takes one connection for each script, in turn, and closes it when the script ends."""
    listener = socket.create_server((host, 0))

    def serve() -> None:
        for script in scripts:
            with suppress(OSError):
                connection, _ = listener.accept()
                with connection:
                    script(connection)
        listener.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://{host}:{listener.getsockname()[1]}/"
    finally:
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        thread.join(10)
        assert not thread.is_alive()


def self_signed(file: Path, name: str) -> Path:
    """A certificate for `name`, such as DNS:receiver or IP:127.0.0.1, with its key, in one file."""
    subject = ["-subj", "/CN=test", "-addext", f"subjectAltName={name}"]
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", str(file)]
    made = subprocess.run(["openssl", "req", "-x509", "-days", "2", *key, *subject], check=True, capture_output=True)
    file.write_bytes(file.read_bytes() + made.stdout)
    return file


def silent(until: threading.Event) -> Callable[[socket.socket], None]:
    """A script that neither reads nor writes."""

    def script(_: socket.socket) -> None:
        until.wait(20)

    return script


def answers(*parts: bytes, forever: bool = False) -> Callable[[socket.socket], None]:
    """A script: reads one request and sends `parts`, the last of them without end if `forever`."""

    def script(connection: socket.socket) -> None:
        read_request(connection)
        for part in parts:
            connection.sendall(part)
        while forever:
            connection.sendall(parts[-1])

    return script
