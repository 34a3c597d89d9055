"""The HTTP endpoint: first up and last down, so that the drain can be watched."""

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Protocol

from m10actors import logs
from m10actors.actors.messages import Tick
from m10actors.supervision import Actor, Link

log = logs.logger(__name__)

LOOK = Tick("look")
_TO_SPARE = 0.5  # seconds of the shutdown time that are kept for what comes after the servers


class ServerDied(Exception):
    """A server's thread has ended or its event loop no longer turns."""

    def __init__(self, name: str) -> None:
        super().__init__(f"the server {name} does not run any more")
        self.name = name


class Server(Protocol):
    """One listener with a thread of its own (`m10actors.web.server.HttpServer`)."""

    name: str
    failure: BaseException | None

    @property
    def address(self) -> str: ...

    def start(self, thread_name: str, on_end: Callable[[], None]) -> None: ...

    def is_alive(self) -> bool: ...

    def ask_to_stop(self) -> None: ...

    def stop(self, within: float) -> bool: ...


class HttpEndpoint(Actor):
    """Runs the servers. It has begun when all of them listen; an address that is in use is a failed start.

    `make` makes new servers for each incarnation, `on_listening` is told the addresses by name. Every `poll` it looks
    after them; one that has died or hangs is a crash, so that all are started anew. `shutdown` is the time that the
    supervisor gives it: open connections do not hold it longer.
    """

    def __init__(
        self,
        link: Link,
        make: Callable[[], Sequence[Server]],
        on_listening: Callable[[Mapping[str, str]], None],
        poll: timedelta,
        shutdown: timedelta,
    ) -> None:
        super().__init__(link)
        self._make = make
        self._on_listening = on_listening
        self._poll = poll.total_seconds()
        self._shutdown = shutdown.total_seconds()
        self._servers: Sequence[Server] = ()

    def on_begin(self) -> None:
        self._servers = self._make()
        for server in self._servers:
            server.start(f"{self.child_id}.{server.name}", on_end=self._look_now)
        addresses = {server.name: server.address for server in self._servers}
        log.info("listening", **addresses)
        self.doing(", ".join(addresses.values()))
        self._on_listening(addresses)
        self.tick_in(self._poll, LOOK)

    def on_message(self, message: object) -> None:
        match message:
            case Tick("look"):
                self._look()
                self.tick_in(self._poll, LOOK)

    def on_end(self) -> None:
        deadline = time.monotonic() + max(_TO_SPARE, self._shutdown - _TO_SPARE)
        for server in self._servers:
            server.ask_to_stop()
        for server in self._servers:
            if not server.stop(max(0.0, deadline - time.monotonic())):
                log.warning("server_abandoned", server=server.name)

    def _look_now(self) -> None:
        """Called in a server's thread when that ends."""
        self.tick_in(0, LOOK)

    def _look(self) -> None:
        for server in self._servers:
            if not self.stopping.is_set() and not server.is_alive():
                raise ServerDied(server.name) from server.failure
