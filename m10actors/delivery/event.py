"""One outbox event, as the delivery sees it."""

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Event:
    """A claimed row of `m10_recovery.outbox`.

    `payload` is the JSON text of the payload exactly as PostgreSQL printed it; what is sent is cut out of it, never
    encoded anew. `destination` is a name of the configuration, or None where the payload says the address.
    `by_itself`: it carries out an action that no person has approved.
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
    by_itself: bool = False
