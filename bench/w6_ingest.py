"""W6, in the process: failures stored in batches, and their hints sent."""

import time
from collections.abc import Callable, Sequence

from bench.stage import Stage
from m10actors.postgres import failures
from m10actors.recovery.failure import Failure

FAILURES = 20_000
BATCH = 500


class Ingest:
    """The one way in; by hand: its statement alone, without hints."""

    figures = (("W6 ingest, Python batch", "failures/s"),)

    def __init__(self, stage: Stage, scale: float) -> None:
        self._stage = stage
        self._count = int(FAILURES * scale)

    def ours(self) -> Sequence[float]:
        return self._store(lambda batch: self._stage.parts.ingest.accept(batch, "bench"))

    def by_hand(self) -> Sequence[float]:
        return self._store(lambda batch: failures.ingest(self._stage.parts.app, batch, "bench"))

    def _store(self, store: Callable[[Sequence[Failure]], object]) -> Sequence[float]:
        given = self._stage.failures(self._count)
        started = time.monotonic()
        for at in range(0, len(given), BATCH):
            store(given[at : at + BATCH])
        seconds = time.monotonic() - started
        self._stage.forget()
        return [self._count / seconds]
