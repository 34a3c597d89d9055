"""Accepted failures: one statement for a batch, whatever its size."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from m10actors.postgres.pool import Database
from m10actors.recovery.failure import Failure


@dataclass(frozen=True, slots=True)
class Accepted:
    """What became of one failure of a batch.

    `opened`: it made its candidate, else it folded into one. `counted`: False where its idempotency key had been seen
    (`key_conflict`: with another payload); then all of this is about the candidate that the key was counted on.
    `became_due`: generation `generation` is due because of this transaction, and wants a message.
    """

    candidate_id: int
    occurrence_count: int
    opened: bool
    counted: bool
    key_conflict: bool
    generation: int
    became_due: bool
    failure_match_id: UUID


def ingest(database: Database, failures: Sequence[Failure], created_by: str) -> list[Accepted]:
    """Stores the failures in one transaction; one answer each, in their order. StoreError if nothing was stored."""
    rows = database.rows(
        "ingest_failures",
        {
            "keys": [f.idempotency_key for f in failures],
            "match_ids": [f.failure_match_id for f in failures],
            "signatures": [f.error_signature for f in failures],
            "codes": [f.error_code for f in failures],
            "messages": [f.error_message for f in failures],
            "sources": [f.source for f in failures],
            "fingerprints": [f.fingerprint for f in failures],
            "hashes": [f.payload_hash for f in failures],
            "payloads": [json.dumps(f.payload, ensure_ascii=False, separators=(",", ":")) for f in failures],
            "created_by": created_by,
        },
    )
    return [Accepted(*row[1:]) for row in rows]


def enqueue_fallback(database: Database, candidate_ids: Sequence[int]) -> None:
    """Puts the candidates on the fallback queue: what Redis refused."""
    database.rows("enqueue_works", {"candidate_ids": list(candidate_ids)})
