"""What the handlers of all peers do, and how it is timed. Runs in the peers' environment: nothing of the engine here.

A message is a kind of work and a number: of a candidate (W2), else from 1 to COUNT.
"""

import os
import threading
import time
from collections.abc import Sequence

import psycopg
import redis
from psycopg_pool import AsyncConnectionPool

POSTGRES = os.environ["M10_BENCH_POSTGRES"]
REDIS = os.environ["M10_BENCH_REDIS"]
COUNT = int(os.environ["M10_BENCH_COUNT"])
MARKS = "bench:marks"

LOG = "INSERT INTO m10_recovery.replay_log (message_id, candidate_id) VALUES (%s, %s) ON CONFLICT DO NOTHING"
DECIDE = """
UPDATE public.recovery_candidates SET decision = 'approved', evaluated_generation = 1,
    evaluated_count = occurrence_count, updated_at = now()
WHERE id = %s AND evaluated_generation < 1
"""
PUBLISH = """
INSERT INTO m10_recovery.outbox (aggregate_type, aggregate_id, event_type, payload, candidate_id, round)
VALUES ('recovery_candidate', %s, 'webhook:recovery', '{"action": "retry_exponential"}', %s, 1)
"""
TOGETHER = """
WITH given AS (SELECT DISTINCT id FROM unnest(%s::bigint[]) id),
     logged AS (INSERT INTO m10_recovery.replay_log (message_id, candidate_id)
                SELECT id || ':1', id FROM given ON CONFLICT (message_id) DO NOTHING),
     decided AS (UPDATE public.recovery_candidates c
                 SET decision = 'approved', evaluated_generation = 1, evaluated_count = c.occurrence_count,
                     updated_at = now()
                 FROM given g WHERE c.id = g.id AND c.evaluated_generation < 1 RETURNING c.id)
INSERT INTO m10_recovery.outbox (aggregate_type, aggregate_id, event_type, payload, candidate_id, round)
SELECT 'recovery_candidate', id::text, 'webhook:recovery', '{"action": "retry_exponential"}', id, 1 FROM decided
"""
_mine = threading.local()
_marks = redis.Redis.from_url(REDIS)


def handle(kind: str, number: int) -> None:
    """A message, by a handler that blocks."""
    mark(kind, [number])
    if kind == "W2":
        if not hasattr(_mine, "connection"):
            _mine.connection = psycopg.connect(POSTGRES, autocommit=True)
        with _mine.connection.transaction():
            _mine.connection.execute(LOG, [f"{number}:1", number])
            if _mine.connection.execute(DECIDE, [number]).rowcount:
                _mine.connection.execute(PUBLISH, [str(number), number])


class Pool:
    """The same for handlers that do not block; opened at the first message, in the loop that runs."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._pool: AsyncConnectionPool | None = None

    async def handle(self, kind: str, number: int) -> None:
        mark(kind, [number])
        if kind == "W2":
            async with (await self._open()).connection() as connection:
                await connection.execute(LOG, [f"{number}:1", number])
                if (await connection.execute(DECIDE, [number])).rowcount:
                    await connection.execute(PUBLISH, [str(number), number])

    async def handle_together(self, messages: Sequence[tuple[str, int]]) -> None:
        """A batch, by one set-based statement."""
        numbers = [number for _, number in messages]
        mark(messages[0][0], numbers)
        if messages[0][0] == "W2":
            async with (await self._open()).connection() as connection:
                await connection.execute(TOGETHER, [numbers])

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
