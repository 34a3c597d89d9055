"""Outbox events as operators look at them, and send them again. As m10_ops."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from m10actors.postgres.dead_letters import Letter, deaths
from m10actors.postgres.inspection import Listed, Replay, listed, loaded, replays
from m10actors.postgres.pool import Database

EventState = Literal["pending", "dead", "done"]
ResendOutcome = Literal["resent", "already_open", "delivered", "newer_round", "not_found"]


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events; a condition that is None is none. `since`: written then or later, and dead ones given up."""

    state: EventState | None = None
    destination: str | None = None
    event_type: str | None = None
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """An event as a list shows it. `next_attempt_at` only while it is open, `ended_at` only after.

    `retry_count`: attempts that the receiver may have seen and that failed; `unreachable_count`: those that it cannot
    have seen.
    """

    id: int
    event_type: str
    destination: str | None
    aggregate_type: str
    aggregate_id: str
    candidate_id: int | None
    round: int | None
    state: Literal["waiting", "in_hand", "delivered", "dead"]
    retry_count: int
    unreachable_count: int
    last_error: str | None
    created_at: datetime | None
    next_attempt_at: datetime | None
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class EventAccount(Event):
    """All about one event. `paused`: why its destination is not called. Of deaths and resends the newest first.

    `attempts`: the newest 20, in order: number, at, outcome, and what is known of error, status, ms and answer.
    """

    event_uuid: UUID
    idempotency_key: str
    payload: Any
    claimed_by: str | None
    processed_by: str | None
    resent_at: datetime | None
    paused: str | None
    attempts: tuple[Mapping[str, Any], ...]
    deaths: tuple[Letter, ...]
    resends: tuple[Replay, ...]


@dataclass(frozen=True, slots=True)
class Resent:
    """What became of a resend, and how the event's execution stands now."""

    outcome: ResendOutcome
    event_id: int
    event_type: str | None
    destination: str | None
    candidate_id: int | None
    execution_status: str | None


def events(database: Database, wanted: EventFilter, limit: int | None) -> Listed[Event]:
    """Pending ones by when they are due, dead ones by when they died, all others newest first; `limit` None: all."""
    return listed(database, f"outbox_{wanted.state or 'all'}", "outbox_beyond", Event, asdict(wanted), limit)


def event(database: Database, event_id: int) -> EventAccount | None:
    """All about one event; None if there is no such event."""
    rows = database.rows("outbox_event", {"id": event_id})
    if not rows:
        return None
    found = dict(zip((field.name for field in fields(EventAccount)), rows[0], strict=False))
    found["payload"] = loaded(found["payload"])
    found["attempts"] = tuple(loaded(found["attempts"]))
    found["deaths"] = deaths(database, f"outbox:{event_id}")
    found["resends"] = replays(database, f"outbox:{event_id}")
    return EventAccount(**found)


def resend(database: Database, event_id: int, by: str, why: str | None, *, delivered: bool = False) -> Resent:
    """Sends an event again, under the same Idempotency-Key and with the same bytes; `delivered`: even one that was.

    Asked again it changes nothing: by then the event is open, or delivered.
    """
    parameters = {"id": event_id, "by": by, "why": why, "delivered": delivered}
    return Resent(*database.rows("resend_event", parameters)[0])
