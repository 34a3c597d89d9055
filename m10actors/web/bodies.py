"""Request bodies, read raw and counted while they come in: what is announced is not believed."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Final

from fastapi import Request

from m10actors.web.errors import Refusal, try_later

JSON = "application/json"
NDJSON = "application/x-ndjson"
READ_OFF: Final = 1024 * 1024
"""Bytes past the limit that are read and thrown away: a connection closed on unread bytes loses its answer."""


@dataclass(frozen=True, slots=True)
class Body:
    """A whole body and its media type."""

    raw: bytes
    media_type: str


class Inflow:
    """How many bytes all requests of one event loop may hold in memory together."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held = 0

    def take(self, size: int) -> None:
        """Refuses with 429 past the limit. One request alone is always let in."""
        if self._held and self._held + size > self._limit:
            raise try_later(429, "busy", "too much is on its way in at the moment")
        self._held += size

    def give_back(self, size: int) -> None:
        self._held -= size


def body_of(inflow: Inflow, limit: int, *media_types: str) -> Callable[[Request], AsyncIterator[Body]]:
    """A dependency that reads a body of up to `limit` bytes and of one of the media types."""

    async def body(request: Request) -> AsyncIterator[Body]:
        media_type = _media_type(request, media_types)
        announced = int(request.headers.get("content-length", limit))  # digits, or the server would have refused it
        if announced > limit + READ_OFF:
            raise _too_large(limit)
        inflow.take(announced)
        try:
            yield Body(await _read(request, limit), media_type)
        finally:
            inflow.give_back(announced)

    return body


async def _read(request: Request, limit: int) -> bytes:
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size <= limit:
            chunks.append(chunk)
        elif size > limit + READ_OFF:
            break
    if size > limit:
        raise _too_large(limit)
    return b"".join(chunks)


def _media_type(request: Request, taken: tuple[str, ...]) -> str:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type not in taken:
        raise Refusal(415, "media_type", f"the body must be {' or '.join(taken)}")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise Refusal(415, "content_encoding", "compressed bodies are not taken")
    return media_type


def _too_large(limit: int) -> Refusal:
    return Refusal(413, "too_large", f"the body has more than {limit} bytes")
