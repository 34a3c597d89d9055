"""What the handlers of all peers do, and how it is timed. Runs in the peers' environment: nothing of the engine here.

A message is a kind of work and a number: of a candidate (W2), else from 1 to COUNT.
"""

import json
import os
import threading
import time
from collections.abc import Sequence

import psycopg
import redis
from psycopg_pool import AsyncConnectionPool

from bench.peers.rows import READ_ONE, writes
from bench.statements import READ, SAME_ROWS
from bench.words import trivial

POSTGRES = os.environ["M10_BENCH_POSTGRES"]
REDIS = os.environ["M10_BENCH_REDIS"]
COUNT = int(os.environ["M10_BENCH_COUNT"])
MARKS = "bench:marks"

_mine = threading.local()
_marks = redis.Redis.from_url(REDIS)


def handle(kind: str, number: int) -> None:
    """A message, by a handler that blocks: for W2 in a transaction of its own."""
    mark(kind, [number])
    if kind == "W2":
        if not hasattr(_mine, "connection"):
            _mine.connection = psycopg.connect(POSTGRES, autocommit=True)
        with _mine.connection.transaction():
            decide, *rest = writes(_mine.connection.execute(READ_ONE, [number]).fetchone())
            if _mine.connection.execute(*decide).rowcount:
                for statement in rest:
                    _mine.connection.execute(*statement)


class Pool:
    """The same for handlers that do not block; opened at the first message, in the loop that runs."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._pool: AsyncConnectionPool | None = None

    async def handle(self, kind: str, number: int) -> None:
        mark(kind, [number])
        if kind == "W2":
            async with (await self._open()).connection() as connection:
                read = await connection.execute(READ_ONE, [number])
                decide, *rest = writes(await read.fetchone())
                if (await connection.execute(*decide)).rowcount:
                    for statement in rest:
                        await connection.execute(*statement)

    async def handle_together(self, messages: Sequence[tuple[str, int]]) -> None:
        """A batch, by one statement that reads and one that writes."""
        kind, numbers = messages[0][0], [number for _, number in messages]
        mark(kind, numbers)
        if kind == "W2":
            async with (await self._open()).connection() as connection:
                rows = await (await connection.execute(READ.encode(), [numbers])).fetchall()
                if decided := [trivial(row) for row in rows if row[1] > row[2]]:
                    *columns, explains, rules, records = map(list, zip(*decided, strict=True))
                    texts = [[json.dumps(value) for value in each] for each in (explains, rules)]
                    await connection.execute(SAME_ROWS.encode(), [*columns, *texts, records])

    async def close(self) -> None:
        if self._pool is not None:
            await self._pool.close()

    async def _open(self) -> AsyncConnectionPool:
        if self._pool is None:
            self._pool = AsyncConnectionPool(POSTGRES, min_size=self._size, max_size=self._size, open=False)
            await self._pool.open(wait=True)
        return self._pool


def mark(kind: str, numbers: Sequence[int]) -> None:
    """Says when they came: all of W3, and the first and the last of W1."""
    now = time.monotonic()
    for number in numbers:
        if kind == "W3" or (kind == "W1" and number in {1, COUNT}):
            _marks.rpush(MARKS, f"{number} {now!r}")
