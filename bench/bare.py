"""The endpoint by hand: takes a failure or an array of them as JSON and stores it with the engine's own statement. No
token, no checks of the body's size, no hints, no metrics.

    python -m bench.bare DATABASE_URL FILE     (FILE: where to write host:port)
"""

import json
import socket
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import uvicorn
from starlette.concurrency import run_in_threadpool

from m10actors.postgres import failures
from m10actors.postgres.pool import Database
from m10actors.recovery.failure import parse

Message = dict[str, Any]


class Bare:
    """GET answers 200 at once, POST when it is stored."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def __call__(
        self, scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
    ) -> None:
        if scope["type"] != "http":
            return
        body = b""
        while (part := await receive()).get("more_body"):
            body += part["body"]
        body += part["body"]
        stored = await run_in_threadpool(self._store, body) if body else 0
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
        await send({"type": "http.response.body", "body": json.dumps({"stored": stored}).encode()})

    def _store(self, body: bytes) -> int:
        given = json.loads(body)
        return len(
            failures.ingest(self._database, [parse(e) for e in (given if isinstance(given, list) else [given])], "bare")
        )


def main(url: str, told: str) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    Path(told).write_text(f"127.0.0.1:{listener.getsockname()[1]}")
    with Database(url, name="app", size=8) as database:
        config = uvicorn.Config(Bare(database), log_level="error", lifespan="off")
        uvicorn.Server(config).run([listener])


if __name__ == "__main__":
    main(*sys.argv[1:])
