"""FastStream on a Redis stream with a consumer group: two processes, batches of 500, one set-based statement each."""

import os
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import redis.asyncio as redis
from faststream import FastStream
from faststream.redis import RedisBroker, StreamSub

from bench.peers import work

broker = RedisBroker(work.REDIS, logger=None)
app = FastStream(broker, logger=None)
pool = work.Pool(1)
stream = StreamSub("bench", group="bench", consumer=f"c{os.getpid()}", batch=True, max_records=500, last_id=">")


@broker.subscriber(stream=stream)
async def handle(messages: list[dict[str, Any]]) -> None:
    await pool.handle_together([(message["kind"], message["number"]) for message in messages])


async def begin() -> None:
    await broker.connect()
    async with redis.Redis.from_url(work.REDIS) as client:
        with suppress(redis.ResponseError):  # it is there
            await client.xgroup_create("bench", "bench", id="0", mkstream=True)


async def send(kind: str, numbers: Sequence[int]) -> None:
    for number in numbers:
        await broker.publish({"kind": kind, "number": number}, stream="bench")
