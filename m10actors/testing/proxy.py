"""A TCP proxy that breaks things on demand, between a client and a server, each on loopback or on a Unix socket.

One asyncio loop in one thread carries all connections. Faults are set from any thread, hold for old and for new
connections, add up, and end with `clean()`.
"""

import asyncio
import socket
import ssl
import struct
import threading
from collections.abc import Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any, Self, TypeVar

Address = tuple[str, int] | Path
"""Host and port, or the path of a Unix socket."""

T = TypeVar("T")
_CHUNK = 64 * 1024
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class FaultProxy:
    """Forwards between its clients and `upstream` while it is started; also a context manager.

    `address` is where it listens, once started; `accepted` counts the connections so far, `swallowed` the answers that
    were dropped.
    """

    def __init__(
        self, upstream: Address, listen: Address = ("127.0.0.1", 0), *, tls: ssl.SSLContext | None = None
    ) -> None:
        """`tls`: it speaks TLS with its clients, and plainly with the server behind it."""
        self.address = listen
        self._tls = tls
        self.accepted = 0
        self.swallowed = 0
        self._upstream = upstream
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fault-proxy", daemon=True)
        self._server: asyncio.Server | None = None
        self._links: dict[asyncio.Task[None], asyncio.Event] = {}
        self._dark = False
        self._seconds = 0.0
        self._swallowing = False

    def start(self) -> Address:
        """Begins to listen and returns where, with the port that a 0 became. A proxy is started once."""
        self._thread.start()
        self.clean()
        return self.address

    def stop(self) -> None:
        """Resets every connection and ends the thread."""
        self._run(self._refuse())
        self.cut()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def clean(self) -> None:
        """Ends every fault and listens again. What was held back in the dark goes on its way."""
        self._run(self._clean())

    def delay(self, seconds: float) -> None:
        """Latency: each chunk of bytes waits so long, in both directions."""
        self._seconds = seconds

    def swallow_replies(self) -> None:
        """Forwards requests; the first answer to come is dropped and its connection reset. The maker of duplicates."""
        self._swallowing = True

    def dark(self) -> None:
        """A black hole: connections are accepted and kept, and no byte passes."""
        self._run(self._darken())

    def forget(self) -> None:
        """A black hole for the connections that exist: a firewall that lost its state. New ones are not concerned."""
        self._run(self._forget())

    def refuse(self) -> None:
        """Stops listening: a new connection is refused. Those that exist go on; `cut` ends them."""
        self._run(self._refuse())

    def cut(self) -> None:
        """Resets every connection that exists."""
        self._run(self._cut())

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _run(self, step: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(step, self._loop).result()

    async def _clean(self) -> None:
        self._seconds, self._swallowing, self._dark = 0.0, False, False
        for link in self._links.values():
            link.set()
        if self._server is None:
            if isinstance(self.address, Path):
                self._server = await asyncio.start_unix_server(self._link, self.address)
            else:
                self._server = await asyncio.start_server(self._link, *self.address, ssl=self._tls)
                self.address = self._server.sockets[0].getsockname()[:2]

    async def _darken(self) -> None:
        self._dark = True
        await self._forget()

    async def _forget(self) -> None:
        for link in self._links.values():
            link.clear()

    async def _refuse(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _cut(self) -> None:
        links = list(self._links)
        for link in links:
            link.cancel()
        await asyncio.gather(*links, return_exceptions=True)

    async def _link(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, from its acceptance until both ends have closed or anything goes wrong."""
        link = asyncio.current_task()
        assert link is not None
        bright = self._links[link] = asyncio.Event()
        if not self._dark:
            bright.set()
        self.accepted += 1
        writers = [writer]
        try:
            await bright.wait()
            up_reader, up_writer = await _connect(self._upstream)
            writers.append(up_writer)
            await self._carry(reader, up_writer, up_reader, writer, bright)
        except (OSError, asyncio.CancelledError):
            for each in writers:
                _reset(each)
        finally:
            for each in writers:
                each.close()
            del self._links[link]

    async def _carry(
        self,
        client: asyncio.StreamReader,
        to_server: asyncio.StreamWriter,
        server: asyncio.StreamReader,
        to_client: asyncio.StreamWriter,
        bright: asyncio.Event,
    ) -> None:
        try:
            async with asyncio.TaskGroup() as pumps:
                pumps.create_task(self._pump(client, to_server, bright, replies=False))
                pumps.create_task(self._pump(server, to_client, bright, replies=True))
        except* OSError as failures:
            raise ConnectionResetError from failures

    async def _pump(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, bright: asyncio.Event, *, replies: bool
    ) -> None:
        while data := await source.read(_CHUNK):
            if self._seconds:
                await asyncio.sleep(self._seconds)
            await bright.wait()
            if replies and self._swallowing:
                self.swallowed += 1
                raise ConnectionResetError
            sink.write(data)
            await sink.drain()
        if sink.can_write_eof():  # not in TLS, which has no half of an end
            sink.write_eof()
        else:
            sink.close()


async def _connect(address: Address) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if isinstance(address, Path):
        return await asyncio.open_unix_connection(address)
    return await asyncio.open_connection(*address)


def _reset(writer: asyncio.StreamWriter) -> None:
    """Closes with RST instead of FIN, so that the other side sees a broken connection and not the end of one."""
    with suppress(OSError):
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    writer.transport.abort()
