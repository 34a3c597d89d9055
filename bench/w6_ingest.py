"""W6, in the process: failures stored in batches, and their hints sent."""

import json
import time
from collections.abc import Callable, Sequence

from bench.stage import Stage
from m10actors.postgres import failures
from m10actors.postgres.arrays import Texts
from m10actors.recovery.failure import Failure

FAILURES = 20_000
BATCH = 500
GIVEN = "unnest(%s::uuid[], %s, %s, %s, %s, %s, %s)"
BARE = f"""
INSERT INTO public.recovery_candidates AS c
    (failure_match_id, error_signature, suggestion, error_code, error_message, source, fingerprint, created_by)
SELECT match_id, signature, '', code, message, source, fingerprint, 'bench'
FROM {GIVEN} AS f(match_id, signature, code, message, source, fingerprint, payload)
ON CONFLICT (failure_match_id, error_signature) DO UPDATE SET occurrence_count = c.occurrence_count + 1
"""
EVERY_ROW = f"""
WITH given AS MATERIALIZED (
    SELECT * FROM {GIVEN} AS f(match_id, signature, code, message, source, fingerprint, payload)
), written AS (
    INSERT INTO public.recovery_candidates AS c
        (failure_match_id, error_signature, suggestion, error_code, error_message, source, fingerprint, created_by)
    SELECT match_id, signature, '', code, message, source, fingerprint, 'bench' FROM given
    ON CONFLICT (failure_match_id, error_signature) DO UPDATE SET occurrence_count = c.occurrence_count + 1
    RETURNING c.id, c.failure_match_id, c.occurrence_count, c.xmax = 0 AS opened
), inputs AS (
    INSERT INTO m10_recovery.suggestion_input (suggestion_id, input_type, raw_value, normalized_value)
    SELECT w.id, 'failure', g.payload, g.message
    FROM written w JOIN given g ON g.match_id = w.failure_match_id
    WHERE w.opened
)
SELECT id, failure_match_id, occurrence_count, opened FROM written
"""


class Ingest:
    """The one way in; by hand: its statement without hints; an upsert that also keeps the payload and says what became
    of each, so writes every row; and one that does neither.
    """

    figures = (
        ("W6 ingest, limit is its statement", "failures/s"),
        ("W6 ingest, limit writes every row", "failures/s"),
        ("W6 ingest, limit is a bare upsert", "failures/s"),
    )

    def __init__(self, stage: Stage, scale: float) -> None:
        self._stage = stage
        self._count = int(FAILURES * scale)

    def ours(self) -> Sequence[float]:
        rate = self._store(lambda batch: self._stage.parts.ingest.accept(batch, "bench"))
        return [rate] * len(self.figures)

    def by_hand(self) -> Sequence[float]:
        statement = self._store(lambda batch: failures.ingest(self._stage.parts.app, batch, "bench"))
        with self._stage.connect() as connection:
            every_row = self._store(lambda batch: connection.execute(EVERY_ROW.encode(), _columns(batch)).fetchall())
            bare = self._store(lambda batch: connection.execute(BARE.encode(), _columns(batch)))
        return [statement, every_row, bare]

    def _store(self, store: Callable[[Sequence[Failure]], object]) -> float:
        given = self._stage.failures(self._count)
        started = time.monotonic()
        for at in range(0, len(given), BATCH):
            store(given[at : at + BATCH])
        seconds = time.monotonic() - started
        self._stage.forget()
        return self._count / seconds


def _columns(batch: Sequence[Failure]) -> list[Texts]:
    return [
        Texts(column)
        for column in (
            [f.failure_match_id.hex for f in batch],
            [f.error_signature for f in batch],
            [f.error_code for f in batch],
            [f.error_message for f in batch],
            [f.source for f in batch],
            [f.fingerprint for f in batch],
            [json.dumps(f.payload, ensure_ascii=False) for f in batch],
        )
    ]
