"""The loops by hand: what somebody writes who needs this one job done fast and nothing else."""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import redis

from bench.stage import Stage

BATCH = 500
Effect = Callable[[Sequence[int]], object]
"""What is done with the candidate ids of a batch, before it is acknowledged."""


def read_all(stage: Stage, effects: Sequence[Effect]) -> float:
    """Works off the stream, a loop in a thread for each effect; the seconds that it took."""
    names = stage.parts.names
    ready = threading.Barrier(len(effects) + 1)

    def loop(number: int, effect: Effect) -> None:
        with redis.Redis.from_url(stage.redis_url) as client:
            client.ping()
            ready.wait()
            while batch := _read(client, names.stream, names.group, f"by hand {number}"):
                effect([int(fields[b"candidate_id"]) for _, fields in batch])
                with client.pipeline(transaction=False) as both:
                    ids = [entry_id for entry_id, _ in batch]
                    both.xack(names.stream, names.group, *ids)
                    both.xdel(names.stream, *ids)
                    both.execute()

    with ThreadPoolExecutor(len(effects)) as pool:
        loops = [pool.submit(loop, number, effect) for number, effect in enumerate(effects)]
        ready.wait()
        started = time.monotonic()
        for each in loops:
            each.result()
    return time.monotonic() - started


def _read(client: Any, stream: str, group: str, consumer: str) -> list[tuple[bytes, dict[bytes, bytes]]]:
    answer = client.xreadgroup(group, consumer, {stream: ">"}, count=BATCH)
    return answer[0][1] if answer else []
