"""W5: due candidates that wait in the stream, read, decided by the rules, written with provenance and event,
acknowledged.
"""

import time
from collections.abc import Sequence
from datetime import timedelta

from bench.stage import Stage
from m10actors.evaluation import Evaluator, Work
from m10actors.streams import Entry
from m10actors.testing import account

EVALUATIONS = 10_000
BATCH = 500


class Evaluations:
    """The engine; by hand: one loop over the same statements, without actors, leases and supervision."""

    figures = (("W5 rules, provenance, outbox", "evaluations/s"),)

    def __init__(self, stage: Stage, scale: float) -> None:
        self._stage = stage
        self._count = int(EVALUATIONS * scale)

    def ours(self) -> Sequence[float]:
        self._stage.announce(self._stage.due(self._count))
        with self._stage.without_delivery():
            rate = self._stage.rate(self._count, lambda: account.is_evaluated(self._stage.parts.ops))
        self._stage.forget(events=self._count)
        return [rate]

    def by_hand(self) -> Sequence[float]:
        self._stage.announce(self._stage.due(self._count))
        queue = self._stage.parts.queue()
        evaluator = Evaluator(self._stage.parts.app, "by hand", self._stage.parts.live.rules)
        started = time.monotonic()
        done = 0
        while done < self._count:
            entries = [entry for entry in queue.read(BATCH, timedelta(seconds=1)) if isinstance(entry, Entry)]
            evaluator.evaluate([Work(entry.candidate_id, entry.generation, entry) for entry in entries], "bench")
            queue.finish([entry.entry_id for entry in entries])
            done += len(entries)
        seconds = time.monotonic() - started
        queue.close()
        self._stage.forget(events=self._count)
        return [self._count / seconds]
