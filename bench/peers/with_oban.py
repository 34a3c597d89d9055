"""Oban for Python, which keeps its jobs in PostgreSQL: one process, twenty jobs at once."""

from collections.abc import Sequence

from oban import Oban, job
from psycopg_pool import AsyncConnectionPool

from bench.peers import work

pool = work.Pool(10)
clients: list[Oban] = []


@job(queue="bench")
async def handle(kind: str, number: int) -> None:
    await pool.handle(kind, number)


async def begin() -> None:
    connections = AsyncConnectionPool(work.POSTGRES, min_size=1, max_size=10, open=False)
    await connections.open()
    clients.append(Oban(pool=connections))


async def send(kind: str, numbers: Sequence[int]) -> None:
    jobs = [handle.new(kind, number) for number in numbers]
    for first in range(0, len(jobs), 1000):
        await clients[0].enqueue_many(jobs[first : first + 1000])
