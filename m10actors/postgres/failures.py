"""Accepted failures: one statement for a batch, whatever its size."""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from m10actors.postgres.json_text import json_bytes
from m10actors.postgres.pool import Database
from m10actors.recovery.failure import Failure


class Accepted(NamedTuple):
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
    text = json_bytes([_columns(failure) for failure in failures]).decode()
    return [Accepted(*row) for row in database.rows("ingest_failures", {"failures": text, "created_by": created_by})]


def enqueue_fallback(database: Database, candidate_ids: Sequence[int]) -> None:
    """Puts the candidates on the fallback queue: what Redis refused."""
    database.rows("enqueue_works", {"candidate_ids": list(candidate_ids)})


def _columns(failure: Failure) -> tuple[object, ...]:
    """What `ingest_failures` takes of one."""
    key = failure.idempotency_key
    return (
        key and key.hex,
        failure.failure_match_id.hex,
        failure.error_signature,
        failure.error_code,
        failure.error_message,
        failure.source,
        failure.fingerprint,
        key and failure.payload_hash.hex(),
        failure.payload,
    )
