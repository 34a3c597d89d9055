"""One listener: uvicorn with its own event loop in a thread of its own."""

import logging
import socket
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import uvicorn
from starlette.types import ASGIApp

from m10actors.web.protocol import MAX_HEADER_BYTES, DeadlineConfig, DeadlineProtocol
from m10actors.web.sockets import Bound, Tcp, Unix

MAX_CONNECTIONS: Final = 900
"""Below the usual limit of 1,024 open files. Who comes when all are taken is answered 503."""
KEEP_ALIVE_SECONDS: Final = 15
MOST_MISSED: Final = 3


@dataclass(frozen=True, slots=True)
class Listener:
    """What is served where. `name` is `api`, `ops`, …: it names the thread and the address in `on_listening`."""

    name: str
    place: Tcp | Unix
    app: ASGIApp
    request_timeout: timedelta = timedelta(seconds=30)
    grace: timedelta = timedelta(seconds=3)
    """Time that requests in hand have to end when the server is stopped."""


class HttpServer:
    """Serves one listener from `start` until `stop`; not to be started again."""

    def __init__(self, listener: Listener) -> None:
        self.name = listener.name
        self.failure: BaseException | None = None
        self._place = listener.place
        self._server = _Server(_config(listener))
        self._thread: threading.Thread | None = None
        self._bound: Bound | None = None
        self._ended = False
        self._seen_turns = -1
        self._missed = 0

    @property
    def address(self) -> str:
        """Where it listens, once it is started: `host:port` or `unix:PATH`."""
        return self._bound.address if self._bound else ""

    def start(self, thread_name: str, on_end: Callable[[], None]) -> None:
        """Listens when it returns; PortInUse or CannotListen. `on_end` is called in the server's thread, as it ends."""
        _speak_our_way()
        bound = self._bound = self._place.bind()
        # The threads that handle requests are its children and daemons like it: a call that hangs holds up no exit.
        self._thread = threading.Thread(target=self._run, args=(bound, on_end), name=thread_name, daemon=True)
        self._thread.start()
        self._server.settled.wait()

    def is_alive(self) -> bool:
        """To be asked now and then. False once it has ended, or its event loop stood still over MOST_MISSED questions.

        Questions are counted, not seconds: after a pause of the whole process nothing is late.
        """
        turns = self._server.turns
        self._missed = self._missed + 1 if turns == self._seen_turns else 0
        self._seen_turns = turns
        return not self._ended and self._missed < MOST_MISSED

    def ask_to_stop(self) -> None:
        """Takes no more connections, closes idle ones and finishes requests in hand; returns at once."""
        self._server.should_exit = True

    def stop(self, within: float) -> bool:
        """Lets go of the address in any case; False if its thread has not ended within so many seconds."""
        self.ask_to_stop()
        if self._thread is not None:
            self._thread.join(within)
        if self._bound is not None:
            self._bound.close()
        return self._thread is None or not self._thread.is_alive()

    def _run(self, bound: Bound, on_end: Callable[[], None]) -> None:
        try:
            self._server.run(sockets=[bound.socket])
        except BaseException as error:  # noqa: BLE001 - the edge of the thread: whoever owns the server raises it again
            self.failure = error
        finally:
            self._ended = True
            self._server.settled.set()
            on_end()


class _Server(uvicorn.Server):
    """uvicorn's server, which installs no signal handlers outside the main thread, and shows that it runs."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.settled = threading.Event()
        self.turns = 0

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self.settled.set()

    async def on_tick(self, counter: int) -> bool:
        self.turns += 1
        return await super().on_tick(counter)


def _config(listener: Listener) -> DeadlineConfig:
    config = DeadlineConfig(
        listener.app,
        http=DeadlineProtocol,
        loop="asyncio",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=MAX_CONNECTIONS,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=max(1, round(listener.grace.total_seconds())),
        h11_max_incomplete_event_size=MAX_HEADER_BYTES,
    )
    config.request_timeout = listener.request_timeout.total_seconds()
    return config


def _speak_our_way() -> None:
    """What uvicorn logs becomes events of ours. Safe to call again: a logger keeps one of each filter."""
    logging.getLogger("uvicorn.error").addFilter(_as_event)


def _as_event(record: logging.LogRecord) -> bool:
    """Errors only: broken requests are the sender's. Of an exception class and place, not its text: that may quote."""
    if record.exc_info and (error := record.exc_info[1]) is not None:
        where = "".join(traceback.format_tb(error.__traceback__))
        record.fields = {"error": type(error).__name__, "traceback": where[-1500:]}
        record.msg, record.args, record.exc_info = "request_failed", (), None
    return record.levelno >= logging.ERROR
