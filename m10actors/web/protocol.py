"""uvicorn's HTTP/1.1 protocol with a deadline for every request to arrive.

uvicorn waits for ever for the rest of a request. Here the clock runs from the connection, or from the first byte of a
later request, until the last byte of the request: who is slower is answered 408 and cut off (traps: slowloris).
"""

import asyncio
from typing import Final

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from m10actors.web.errors import ErrorBody

MAX_HEADER_BYTES: Final = 16 * 1024
_TOO_SLOW: Final = ErrorBody(error="too_slow", message="the request did not arrive in time").model_dump_json().encode()


class DeadlineConfig(uvicorn.Config):
    """uvicorn's configuration, with the one value that our protocol adds: seconds for a request to arrive."""

    request_timeout: float = 30.0


class DeadlineProtocol(H11Protocol):
    """One connection. All of it runs in the thread of the event loop."""

    config: DeadlineConfig
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._review()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._review()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._review()

    def connection_lost(self, exc: Exception | None) -> None:
        self._set(None)
        super().connection_lost(exc)

    def _review(self) -> None:
        """The clock runs while bytes of a request are missing, and uvicorn's own one for idle connections does not."""
        idle = self.timeout_keep_alive_task is not None and not self.conn.trailing_data[0]
        owed = self.conn.their_state is h11.SEND_BODY or (self.conn.their_state is h11.IDLE and not idle)
        if not owed or self.transport.is_closing():
            self._set(None)
        elif self._deadline is None:
            self._set(self.loop.call_later(self.config.request_timeout, self._too_slow))

    def _set(self, deadline: asyncio.TimerHandle | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = deadline

    def _too_slow(self) -> None:
        if self.conn.our_state in {h11.IDLE, h11.SEND_RESPONSE} and not self._is_silent():
            headers = [
                ("content-type", "application/json"),
                ("content-length", str(len(_TOO_SLOW))),
                ("connection", "close"),
            ]
            for event in (h11.Response(status_code=408, headers=headers), h11.Data(data=_TOO_SLOW), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def _is_silent(self) -> bool:
        """Whether not one byte of a request came."""
        return self.conn.their_state is h11.IDLE and not self.conn.trailing_data[0]
