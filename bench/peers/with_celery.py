"""Celery on Redis, without results: two processes that acknowledge late and fetch ahead."""

from collections.abc import Sequence

from celery import Celery

from bench.peers import work

path, _, query = work.REDIS.removeprefix("unix://").partition("?")
app = Celery("bench", broker=f"redis+socket://{path}?virtual_host={query.removeprefix('db=')}")
app.conf.update(
    task_acks_late=True, task_ignore_result=True, worker_prefetch_multiplier=64, broker_connection_retry_on_startup=True
)


@app.task
def handle(kind: str, number: int) -> None:
    work.handle(kind, number)


def send(kind: str, numbers: Sequence[int]) -> None:
    with app.producer_pool.acquire(block=True) as producer:
        for number in numbers:
            handle.apply_async((kind, number), producer=producer)
