"""arq: two processes of twenty jobs at once, no results kept."""

from collections.abc import Sequence
from typing import Any, ClassVar

from arq import create_pool
from arq.connections import ArqRedis, RedisSettings

from bench.peers import work

path, _, query = work.REDIS.removeprefix("unix://").partition("?")
SETTINGS = RedisSettings(unix_socket_path=path, database=int(query.removeprefix("db=")))
pool = work.Pool(10)
clients: list[ArqRedis] = []


async def handle(_context: dict[str, Any], kind: str, number: int) -> None:
    await pool.handle(kind, number)


class WorkerSettings:
    """What `arq` looks for."""

    functions: ClassVar = [handle]
    redis_settings = SETTINGS
    max_jobs = 20
    keep_result = 0
    poll_delay = 0.05


async def begin() -> None:
    clients.append(await create_pool(SETTINGS))


async def send(kind: str, numbers: Sequence[int]) -> None:
    for number in numbers:
        await clients[0].enqueue_job("handle", kind, number)
