"""The endpoint by hand: what the framework's users write who only need failures to be stored, with the engine's own
statement. No token, no limits, no hints, no metrics.

    python -m bench.bare DATABASE_URL FILE     (FILE: where to write host:port)
"""

import socket
import sys
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI

from m10actors.postgres import failures
from m10actors.postgres.pool import Database
from m10actors.recovery.failure import parse

PATH = "/api/v1/recovery/ingest"


def application(database: Database) -> FastAPI:
    """GET / answers at once, POST when it is stored."""
    app = FastAPI()

    @app.get("/")
    async def ready() -> str:
        return "ready"

    @app.post(PATH)
    def one(failure: dict[str, Any]) -> int:
        return many([failure])

    @app.post(f"{PATH}/batch")
    def many(given: list[dict[str, Any]]) -> int:
        return len(failures.ingest(database, [parse(each) for each in given], "bare"))

    return app


def main(url: str, told: str) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else the rest of an answer waits for 40 ms
    Path(told).write_text(f"127.0.0.1:{listener.getsockname()[1]}")
    with Database(url, name="app", size=8) as database:
        uvicorn.Server(uvicorn.Config(application(database), log_level="error", lifespan="off")).run([listener])


if __name__ == "__main__":
    main(*sys.argv[1:])
