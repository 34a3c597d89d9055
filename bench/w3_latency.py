"""W3: 200 messages a second into an idle system, from the moment that each is sent to the handler's first line."""

import threading
import time
from collections.abc import Sequence
from statistics import quantiles

import redis

from bench.evaluators import Stopwatch, arrivals, asked
from bench.stage import Stage, doing
from bench.statements import READ

RATE = 200
SECONDS = 5
FEWEST = 20


class Latency:
    """The engine with an evaluator that only looks at the clock; by hand: one loop that reads the message, and its row,
    as soon as it can.
    """

    figures = (("W3 latency at 200/s, p50", "ms"), ("W3 latency at 200/s, p99", "ms"))

    def __init__(self, stage: Stage, scale: float) -> None:
        self._stage = stage
        self._count = max(FEWEST, int(RATE * SECONDS * scale))

    def ours(self) -> Sequence[float]:
        due = self._stage.due(self._count)
        with self._stage.configured(asked(Stopwatch)), self._stage.running() as tree:
            while not doing(tree.snapshot(), "stream_reader").startswith("waiting"):
                time.sleep(0.002)
            taken = sent(self._stage, due)
        self._stage.forget(events=0)
        return taken

    def by_hand(self) -> Sequence[float]:
        due = self._stage.due(self._count)
        ended = threading.Event()

        def loop() -> None:
            names = self._stage.parts.names
            with redis.Redis.from_url(self._stage.redis_url) as client, self._stage.connect() as connection:
                while not ended.is_set():
                    answer = client.xreadgroup(names.group, "by hand", {names.stream: ">"}, count=500, block=100)
                    for entry_id, fields in answer[0][1] if answer else ():
                        [(candidate_id, *_)] = connection.execute(READ.encode(), [[int(fields[b"candidate_id"])]])
                        arrivals.setdefault(candidate_id, time.monotonic())
                        client.xack(names.stream, names.group, entry_id)
                        client.xdel(names.stream, entry_id)

        thread = threading.Thread(target=loop, name="by hand")
        thread.start()
        try:
            return sent(self._stage, due)
        finally:
            ended.set()
            thread.join()
            self._stage.forget(events=0)


def sent(stage: Stage, candidate_ids: Sequence[int]) -> Sequence[float]:
    """Sends a message for each, evenly; the median and the 99th percentile of what they took, in milliseconds."""
    arrivals.clear()
    at: dict[int, float] = {}
    with redis.Redis.from_url(stage.redis_url) as client:
        began = time.monotonic()
        for number, candidate_id in enumerate(candidate_ids):
            time.sleep(max(0.0, began + number / RATE - time.monotonic()))
            at[candidate_id] = time.monotonic()
            client.xadd(stage.parts.names.stream, {"candidate_id": candidate_id, "message_id": f"{candidate_id}:1"})
    while len(arrivals) < len(candidate_ids):
        time.sleep(0.002)
    cuts = quantiles(((arrivals[number] - at[number]) * 1000 for number in at), n=100)
    return [cuts[49], cuts[98]]
