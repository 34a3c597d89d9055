"""RQ: two workers that run their jobs themselves, without a fork for each."""

from collections.abc import Sequence

import redis
from rq import Queue

from bench.peers import work

queue = Queue("bench", connection=redis.Redis.from_url(work.REDIS))


def handle(kind: str, number: int) -> None:
    work.handle(kind, number)


def send(kind: str, numbers: Sequence[int]) -> None:
    jobs = [Queue.prepare_data("bench.peers.with_rq.handle", (kind, number), result_ttl=0) for number in numbers]
    queue.enqueue_many(jobs)
