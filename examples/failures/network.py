"""Failures of connections: refused, reset, timed out, names that do not resolve, certificates that do not fit."""

import json
import socket
import ssl
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from report import Report, provoke

LOOPBACK = "127.0.0.1"
SOON = 0.05  # seconds: as long as any timeout here waits

_RESOLVE = """
import json, socket, sys
names = {value: name for name, value in vars(socket).items() if name.startswith("EAI_")}
for host in sys.argv[1:]:
    try:
        socket.getaddrinfo(host, 443)
    except socket.gaierror as error:
        print(json.dumps({"host": host, "code": names[error.errno], "raw": str(error)}))
"""


def connections(_folder: Path) -> Iterator[Report]:
    """Connections that are refused, time out, or are reset in the middle."""
    yield from _refused()
    yield from _timed_out()
    yield from _cut_off()


@contextmanager
def answering(answer: Callable[[socket.socket], None], backlog: int = 16) -> Iterator[tuple[str, int]]:
    """A TCP server on loopback that handles each connection with `answer`, one after the other."""
    with socket.create_server((LOOPBACK, 0), backlog=backlog) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    try:
                        answer(connection)
                    except OSError:
                        continue

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def _refused() -> Iterator[Report]:
    """Ports on which nobody listens any more."""
    for attempt in range(1, 21):
        with socket.create_server((LOOPBACK, 0)) as gone:
            address = gone.getsockname()
        source = ("checkout", "search", "mailer", "reports")[attempt % 4]
        yield provoke(
            "refused", source, partial(socket.create_connection, address), ConnectionRefusedError, port=address[1]
        )


def _timed_out() -> Iterator[Report]:
    """A server that accepts and says nothing, and one whose queue of connections is full."""
    with socket.create_server((LOOPBACK, 0), backlog=0) as listener:
        address = listener.getsockname()

        def read() -> None:
            with socket.create_connection(address, SOON) as connection:
                connection.recv(1)

        yield provoke("timeout", "inventory", read, TimeoutError, phase="read")
    with socket.create_server((LOOPBACK, 0), backlog=0) as listener:
        address = listener.getsockname()
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(address)
        for attempt in range(1, 13):
            yield provoke(
                "timeout",
                "inventory",
                partial(socket.create_connection, address, SOON),
                TimeoutError,
                phase="connect",
                attempt=attempt,
            )
        for each in waiting:
            each.close()


def _cut_off() -> Iterator[Report]:
    """Peers that reset the connection in the middle."""

    def reset(connection: socket.socket) -> None:
        connection.recv(1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    with answering(reset) as address:
        for order in range(1, 11):

            def ask(number: int = order) -> None:
                with socket.create_connection(address, 5) as connection:
                    connection.sendall(b"order %d" % number)
                    connection.recv(1)

            yield provoke("reset", "orders", ask, ConnectionResetError, order=order)


def names(_folder: Path) -> Iterator[Report]:
    """Names that do not exist (.invalid, RFC 6761), looked up where there is no network at all; and bad arguments."""
    hosts = [f"{name}.invalid" for name in ("billing", "cache", "db-primary", "db-replica-1", "db-replica-2", "smtp")]
    hosts += [f"worker-{number}.jobs.invalid" for number in range(1, 11)]
    alone = ["unshare", "--user", "--net", sys.executable, "-I", "-S", "-c", _RESOLVE, *hosts]
    looked_up = subprocess.run(alone, capture_output=True, text=True, timeout=20, check=False)
    for line in looked_up.stdout.splitlines():
        found = json.loads(line)
        raw = f"cannot resolve {found['host']}: {found['raw']}"
        yield Report("dns", "gateway", f"DNS_{found['code']}", raw, {"host": found["host"]})
    for number in range(1, 5):
        host = f"10.0.{number}.256"
        yield provoke(
            "dns",
            "gateway",
            partial(socket.getaddrinfo, host, 443, flags=socket.AI_NUMERICHOST),
            socket.gaierror,
            name=lambda _: "DNS_EAI_NONAME",
            host=host,
        )


def certificates(folder: Path) -> Iterator[Report]:
    """A self-signed certificate, one for another host, a version of TLS that is too old, and no TLS at all."""
    certificate, key = folder / "tls.pem", folder / "tls.key"
    make = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "2",
    ]
    make += ["-subj", "/CN=api.invalid", "-addext", "subjectAltName=DNS:api.invalid"]
    subprocess.run([*make, "-out", certificate, "-keyout", key], check=True, capture_output=True, timeout=20)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate, key)
    server.minimum_version = ssl.TLSVersion.TLSv1_3

    def connect(address: tuple[str, int], context: ssl.SSLContext, host: str) -> None:
        with socket.create_connection(address, 5) as plain, context.wrap_socket(plain, server_hostname=host):
            pass

    def old() -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=certificate)
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        return context

    trusting = ssl.create_default_context(cafile=certificate)
    cases = (
        ("self-signed", ssl.create_default_context(), "api.invalid"),
        ("wrong host", trusting, "shop.invalid"),
        ("version", old(), "api.invalid"),
    )
    with answering(lambda connection: server.wrap_socket(connection, server_side=True).close()) as address:
        for what, context, host in cases:
            for _ in range(4):
                yield provoke("tls", "payments", partial(connect, address, context, host), ssl.SSLError, what=what)
    with answering(lambda connection: connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as address:
        for _ in range(3):
            yield provoke(
                "tls",
                "payments",
                partial(connect, address, trusting, "api.invalid"),
                ssl.SSLError,
                OSError,
                what="no TLS",
            )
