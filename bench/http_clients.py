"""Which HTTP client is fast enough, and which keeps to a deadline: `python -m bench.http_clients`, run by hand.

Ten threads sign and send to a receiver in a process of its own, with each client that is installed. CPU is that of this
process. `drip` is what a timeout of one second comes to where the answer comes byte by byte, for ten seconds in all.
docs/decisions/0018 has the table and what follows from it.
"""

import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from typing import Any
from uuid import UUID

from m10actors.delivery import Deliverer, Destination, Event
from m10actors.delivery.signing import signature_headers
from m10actors.testing.receiver import Answer, Receiver

THREADS = 10
REQUESTS = int(os.environ.get("REQUESTS", "6000"))
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLjSw"
BODY = b'{"version": 1, "action": "retry_exponential", "failure": {"code": "TIMEOUT"}}'
TIMEOUT = 1.0
Send = Callable[[Callable[[], dict[str, str]], bytes], object]
"""Given a way to sign, and a body: one request and its whole answer."""

SERVER = """
import asyncio, sys

class Taker(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport, self.raw = transport, b""

    def data_received(self, data):
        self.raw += data
        while b"\\r\\n\\r\\n" in self.raw:
            head, _, rest = self.raw.partition(b"\\r\\n\\r\\n")
            length = int(head.lower().partition(b"content-length:")[2].partition(b"\\r\\n")[0] or 0)
            if len(rest) < length:
                return
            self.raw = rest[length:]
            self.transport.write(b"HTTP/1.1 200 OK\\r\\ncontent-length: 2\\r\\n\\r\\nok")

async def main():
    server = await asyncio.get_running_loop().create_server(Taker, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()

asyncio.run(main())
"""


def ours(url: str) -> Send:
    """Everything that a delivery is: composing, gate, address guard, signature, deadline."""
    loopback = (ip_network("127.0.0.0/8"),)
    seconds = timedelta(seconds=TIMEOUT)
    made = Destination("a", url, seconds, secrets=(SECRET,), allow_networks=loopback, allow_http=True)
    to = Deliverer({"a": made})
    event = Event(1, UUID(int=1), "a", "1", "webhook:x", b'{"data": ' + BODY + b"}", "a", 0, "0" * 32)
    return lambda _headers, _body: to.deliver(event, 1)


def urllib3(url: str) -> Send:
    import urllib3

    pool = urllib3.PoolManager(maxsize=THREADS)
    timeout = urllib3.Timeout(total=TIMEOUT)
    return lambda headers, body: (
        pool.request("POST", url, body=body, headers=headers(), timeout=timeout, retries=False, redirect=False).data
    )


def httpx(url: str) -> Send:
    import httpx

    client = httpx.Client(timeout=TIMEOUT, trust_env=False)
    return lambda headers, body: client.post(url, content=body, headers=headers()).content


def niquests(url: str) -> Send:
    import niquests  # type: ignore[import-not-found]

    session: Any = niquests.Session(pool_connections=THREADS, pool_maxsize=THREADS)
    session.trust_env = False
    return lambda headers, body: (
        session.post(url, data=body, headers=headers(), timeout=TIMEOUT, allow_redirects=False).content
    )


def pyreqwest(url: str) -> Send:
    from pyreqwest.client import SyncClientBuilder  # type: ignore[import-not-found]

    client = SyncClientBuilder().timeout(timedelta(seconds=TIMEOUT)).no_proxy().build()
    return lambda headers, body: client.post(url).headers(headers()).body_bytes(body).build().send().bytes()


CLIENTS: tuple[Callable[[str], Send], ...] = (ours, urllib3, httpx, niquests, pyreqwest)


@contextmanager
def receiver() -> Iterator[str]:
    process = subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}/"
    finally:
        process.kill()
        process.wait()


def signed() -> dict[str, str]:
    headers = {"content-type": "application/json", "accept-encoding": "identity", "m10-fencing-token": "1"}
    return headers | signature_headers([SECRET], UUID(int=1), BODY, datetime.now(UTC))


def measured(send: Send) -> tuple[float, float]:
    """Deliveries per second, and milliseconds of CPU for each."""

    def one(_: int) -> None:
        send(signed, BODY)

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(one, range(THREADS * 20)))
        wall, cpu = time.monotonic(), time.process_time()
        list(pool.map(one, range(REQUESTS)))
        wall, cpu = time.monotonic() - wall, time.process_time() - cpu
    return REQUESTS / wall, 1000 * cpu / REQUESTS


def dripped(client: Callable[[str], Send]) -> float:
    """Seconds that one attempt takes at a receiver that drips."""
    with Receiver(answer=lambda _: Answer(body=b"x" * 15, drip=0.2)) as slow:
        send = client(slow.url)
        began = time.monotonic()
        try:
            send(signed, BODY)
        except Exception as error:  # noqa: BLE001 - each client has its own
            print(f"    ({type(error).__name__})", file=sys.stderr)
        return time.monotonic() - began


def main() -> None:
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, {REQUESTS} requests")
    print("| client | deliveries/s | CPU ms each | drip s |\n|---|---|---|---|")
    with receiver() as url:
        for client in CLIENTS:
            try:
                rate, cpu = measured(client(url))
            except ImportError:
                print(f"| {client.__name__} | not installed | | |")
                continue
            print(f"| {client.__name__} | {rate:,.0f} | {cpu:.2f} | {dripped(client):.1f} |", flush=True)


if __name__ == "__main__":
    main()
