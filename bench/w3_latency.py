"""W3: 200 messages a second into an idle system, from the moment that each is sent to the handler's first line."""

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from statistics import quantiles
from unittest.mock import patch

import redis

from bench.stage import Stage, doing
from m10actors.evaluation import Evaluated, Evaluator, Work

RATE = 200
SECONDS = 5
FEWEST = 20


class Latency:
    """The engine with an evaluator that only looks at the clock; by hand: one loop that reads as soon as it can."""

    figures = (("W3 latency at 200/s, p50", "ms"), ("W3 latency at 200/s, p99", "ms"))

    def __init__(self, stage: Stage, scale: float) -> None:
        self._stage = stage
        self._count = max(FEWEST, int(RATE * SECONDS * scale))
        self._arrived: dict[int, float] = {}

    def ours(self) -> Sequence[float]:
        def look(_self: Evaluator, batch: Sequence[Work], _source: str, _beat: Callable[[], None]) -> Evaluated:
            self._arrive(work.candidate_id for work in batch)
            return Evaluated(finished=batch)

        with patch.object(Evaluator, "evaluate", look), self._stage.running() as tree:
            while not doing(tree.snapshot(), "stream_reader").startswith("waiting"):
                time.sleep(0.002)
            return self._sent()

    def by_hand(self) -> Sequence[float]:
        ended = threading.Event()

        def loop() -> None:
            names = self._stage.parts.names
            with redis.Redis.from_url(self._stage.redis_url) as client:
                while not ended.is_set():
                    answer = client.xreadgroup(names.group, "by hand", {names.stream: ">"}, count=500, block=100)
                    for entry_id, fields in answer[0][1] if answer else ():
                        self._arrive([int(fields[b"candidate_id"])])
                        client.xack(names.stream, names.group, entry_id)
                        client.xdel(names.stream, entry_id)

        thread = threading.Thread(target=loop, name="by hand")
        thread.start()
        try:
            return self._sent()
        finally:
            ended.set()
            thread.join()

    def _arrive(self, candidate_ids: Iterable[int]) -> None:
        now = time.monotonic()
        for candidate_id in candidate_ids:
            self._arrived.setdefault(candidate_id, now)

    def _sent(self) -> Sequence[float]:
        """Sends all, evenly; the median and the 99th percentile of what they took, in milliseconds."""
        self._arrived.clear()
        sent: dict[int, float] = {}
        with redis.Redis.from_url(self._stage.redis_url) as client:
            began = time.monotonic()
            for number in range(1, self._count + 1):
                time.sleep(max(0.0, began + number / RATE - time.monotonic()))
                sent[number] = time.monotonic()
                client.xadd(self._stage.parts.names.stream, {"candidate_id": number, "message_id": f"{number}:1"})
        while len(self._arrived) < self._count:
            time.sleep(0.002)
        cuts = quantiles(((self._arrived[number] - sent[number]) * 1000 for number in sent), n=100)
        return [cuts[49], cuts[98]]
