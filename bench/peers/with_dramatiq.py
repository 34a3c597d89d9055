"""Dramatiq on Redis, without results: two processes of four threads."""

from collections.abc import Sequence

import dramatiq
import redis
from dramatiq.brokers.redis import RedisBroker

from bench.peers import work

broker = RedisBroker(client=redis.Redis.from_url(work.REDIS))
dramatiq.set_broker(broker)


@dramatiq.actor
def handle(kind: str, number: int) -> None:
    work.handle(kind, number)


def send(kind: str, numbers: Sequence[int]) -> None:
    for number in numbers:
        handle.send(kind, number)
