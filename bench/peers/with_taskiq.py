"""taskiq on a Redis stream, without results: two processes of ten tasks at once."""

from collections.abc import Sequence

from taskiq_redis import RedisStreamBroker

from bench.peers import work

broker = RedisStreamBroker(work.REDIS)
pool = work.Pool(10)


@broker.task
async def handle(kind: str, number: int) -> None:
    await pool.handle(kind, number)


begin = broker.startup


async def send(kind: str, numbers: Sequence[int]) -> None:
    for number in numbers:
        await handle.kiq(kind, number)
