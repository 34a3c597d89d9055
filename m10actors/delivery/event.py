"""One outbox event, as the delivery sees it, and the key under which every receiver knows it."""

import hashlib
from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Event:
    """A claimed row of `m10_recovery.outbox`.

    `payload` is the JSON text of the payload exactly as PostgreSQL printed it; what is sent is cut out of it, never
    encoded anew. `destination` is a name of the configuration, or None where the payload says the address.
    """

    id: int
    event_uuid: UUID
    aggregate_type: str
    aggregate_id: str
    event_type: str
    payload: bytes
    destination: str | None
    retry_count: int
    idempotency_key: str


def idempotency_key(installation: UUID, id: int, aggregate_type: str, aggregate_id: str, event_type: str) -> str:  # noqa: A002
    """32 hexadecimal characters, the same for every attempt of one event.

    `installation` is made by the first migration, so that a second or restored database never repeats a key.
    """
    identity = f"{installation}:{id}:{aggregate_type}:{aggregate_id}:{event_type}"
    return hashlib.sha256(identity.encode()).hexdigest()[:32]
