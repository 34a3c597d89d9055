"""The outbox: claims and completions, each only with the live lock in this epoch (else LeaseLost)."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal
from uuid import UUID

from psycopg.types.json import Jsonb

from m10actors.postgres.pool import Database

OUTBOX_LOCK = "m10:outbox_processor"


@dataclass(frozen=True, slots=True)
class ClaimedEvent:
    """An event in hand. `payload` is the JSON text as PostgreSQL prints it: the same on each attempt. `by_itself`: no
    person has approved what it carries out.
    """

    id: int
    aggregate_type: str
    aggregate_id: str
    event_type: str
    payload: str
    retry_count: int
    event_uuid: UUID
    destination: str | None
    idempotency_key: str
    by_itself: bool


@dataclass(frozen=True, slots=True)
class Completion:
    """What an attempt came to. `failed` is counted, `unreachable` is not; `gone` is dead and pauses its destination.
    Without an attempt: `held` only moves the next one, and so does `cut_off` until the event is too old.

    `delay` overrides the schedule; `result` is kept with the execution, `attempt` in the event's history.
    """

    event_id: int
    outcome: Literal["delivered", "running", "failed", "unreachable", "dead", "gone", "held", "cut_off"]
    error: str | None = None
    delay: timedelta | None = None
    result: Mapping[str, object] | None = None
    attempt: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True)
class Settled:
    """How an event stands now. `message_due`: the generation of its candidate that closing the execution made due;
    `execution`: how the execution ended with it, if it did; `next_event_type`: of the event that follows it then.
    """

    event_id: int
    state: Literal["done", "retry", "dead"]
    event_type: str
    aggregate_type: str
    candidate_id: int | None
    message_due: int | None
    execution: str | None = None
    next_event_type: str | None = None


def claim(database: Database, processor: str, epoch: int, limit: int, held: Collection[str] = ()) -> list[ClaimedEvent]:
    """At most `limit` events that are due and nobody's, the oldest open one of each aggregate, a share for each
    destination but those that are `held`: of them, what was due so long ago that it is too old.
    """
    given = {"processor": processor, "epoch": epoch, "limit": limit, "held": list(held)}
    rows = database.rows("claim_events", given)
    return [ClaimedEvent(*row) for row in rows]


def complete(database: Database, processor: str, epoch: int, completions: Sequence[Completion]) -> list[Settled]:
    """Writes the outcomes; events that are no longer this claimer's are left out of the answer."""
    rows = database.rows(
        "complete_events",
        {
            "processor": processor,
            "epoch": epoch,
            "ids": [c.event_id for c in completions],
            "outcomes": [c.outcome for c in completions],
            "errors": [c.error for c in completions],
            "delays": [c.delay for c in completions],
            "results": [_json(c.result) for c in completions],
            "attempts": [_json(c.attempt) for c in completions],
        },
    )
    return [Settled(*row) for row in rows]


def _json(value: Mapping[str, object] | None) -> Jsonb | None:
    return None if value is None else Jsonb(dict(value))
