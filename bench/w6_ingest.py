"""W6, in the process: failures stored in batches, and their hints sent."""

import time
from collections.abc import Callable, Sequence

from bench.stage import Stage
from m10actors.postgres import failures
from m10actors.recovery.failure import Failure

FAILURES = 20_000
BATCH = 500
BARE = """
INSERT INTO public.recovery_candidates AS c
    (failure_match_id, error_signature, suggestion, error_code, error_message, source, fingerprint, created_by)
SELECT match_id, signature, '', code, message, source, fingerprint, 'bench'
FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[])
    AS f(match_id, signature, code, message, source, fingerprint)
ON CONFLICT (failure_match_id, error_signature) DO UPDATE SET occurrence_count = c.occurrence_count + 1
"""


class Ingest:
    """The one way in; by hand: its statement without hints, and an upsert that keeps no payload, key and count."""

    figures = (
        ("W6 ingest, limit is its statement", "failures/s"),
        ("W6 ingest, limit is a bare upsert", "failures/s"),
    )

    def __init__(self, stage: Stage, scale: float) -> None:
        self._stage = stage
        self._count = int(FAILURES * scale)

    def ours(self) -> Sequence[float]:
        rate = self._store(lambda batch: self._stage.parts.ingest.accept(batch, "bench"))
        return [rate, rate]

    def by_hand(self) -> Sequence[float]:
        statement = self._store(lambda batch: failures.ingest(self._stage.parts.app, batch, "bench"))
        with self._stage.connect() as connection:
            bare = self._store(lambda batch: connection.execute(BARE.encode(), _columns(batch)))
        return [statement, bare]

    def _store(self, store: Callable[[Sequence[Failure]], object]) -> float:
        given = self._stage.failures(self._count)
        started = time.monotonic()
        for at in range(0, len(given), BATCH):
            store(given[at : at + BATCH])
        seconds = time.monotonic() - started
        self._stage.forget()
        return self._count / seconds


def _columns(batch: Sequence[Failure]) -> list[list[object]]:
    return [
        [f.failure_match_id for f in batch],
        [f.error_signature for f in batch],
        [f.error_code for f in batch],
        [f.error_message for f in batch],
        [f.source for f in batch],
        [f.fingerprint for f in batch],
    ]
