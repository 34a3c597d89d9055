"""Reading candidates: lists, and one of them in full. Nothing here writes."""

import json
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID

from m10actors.postgres.inspection import loaded
from m10actors.postgres.pool import Database

DecisionWord = Literal["pending", "approved", "rejected"]
ExecutionWord = Literal["pending", "executing", "succeeded", "failed", "rolled_back", "skipped"]
StatusWord = Literal["pending", "approved", "rejected", "executing", "succeeded", "failed", "rolled_back", "skipped"]
"""How far a candidate is: its decision, or the execution status that follows an approval."""
Order = Literal["newest", "oldest", "occurrences"]

NEWEST: Final = 50
"""How many rows of each kind `one` brings: inputs, provenance, events, dead letters."""


@dataclass(frozen=True, slots=True)
class CandidateFilter:
    """Which candidates, in which order. A condition that is None is none; all given ones must hold.

    `text` stands in the error message or the error code, in any letter case. `since`: seen at or after it. `after` is
    the id of the last one seen, for the orders newest and oldest: pages that stay stable while new ones arrive.
    """

    decision: DecisionWord | None = None
    execution_status: ExecutionWord | None = None
    source: str | None = None
    error_code: str | None = None
    action: str | None = None
    text: str | None = None
    since: datetime | None = None
    due: bool | None = None
    order: Order = "newest"
    after: int | None = None


def split(status: StatusWord | None) -> tuple[DecisionWord | None, ExecutionWord | None]:
    """The decision or the execution status that a status stands for."""
    match status:
        case None:
            return None, None
        case "pending" | "approved" | "rejected":
            return status, None
        case _:
            return None, status


@dataclass(frozen=True, slots=True)
class Summary:
    """A candidate as a list shows it. Long texts are cut; a moment that no calendar knows is None.

    `due`: an evaluation is due. `evaluation_error`: why the last evaluation was given up.
    """

    id: int
    failure_match_id: UUID
    error_signature: str
    error_code: str | None
    error_message: str | None
    source: str | None
    occurrence_count: int
    first_seen: datetime | None
    last_seen: datetime | None
    suggestion: str
    action: str | None
    confidence: float
    decision: str
    decided_by: str | None
    decided_at: datetime | None
    execution_status: str | None
    round: int
    closed_at: datetime | None
    generation: int
    evaluated_generation: int
    due: bool
    evaluation_error: str | None


@dataclass(frozen=True, slots=True)
class Input:
    """What the candidate was opened with; `value` is the payload as it came."""

    type: str
    value: str
    created_at: datetime | None


@dataclass(frozen=True, slots=True)
class Provenance:
    """One thing that happened to the candidate."""

    event_type: str
    details: Any
    action: str | None
    confidence_before: float | None
    confidence_after: float | None
    actor: str | None
    actor_type: str | None
    created_at: datetime | None
    duration_ms: int | None


@dataclass(frozen=True, slots=True)
class Event:
    """An outbox event that carries out an action of the candidate. `next_attempt_at` only while it is open."""

    id: int
    event_type: str
    destination: str | None
    round: int | None
    state: Literal["waiting", "in_hand", "delivered", "dead"]
    retry_count: int
    last_error: str | None
    created_at: datetime | None
    next_attempt_at: datetime | None
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Something of the candidate that was given up: an evaluation, or the event `event_id`."""

    dl_msg_id: str | None
    original_msg_id: str | None
    reason: str | None
    event_id: int | None
    dead_lettered_at: datetime | None


@dataclass(frozen=True, slots=True)
class Candidate(Summary):
    """All about one candidate. `message` is the error message in full, of the lists the newest come first."""

    message: str | None
    fingerprint: str | None
    created_by: str | None
    idempotency_key: UUID | None
    explain: Any
    rules_evaluated: Any
    review_note: str | None
    executed_at: datetime | None
    execution_result: Any
    last_executed_at: datetime | None
    due_since: datetime | None
    inputs: tuple[Input, ...]
    provenance: tuple[Provenance, ...]
    events: tuple[Event, ...]
    dead_letters: tuple[DeadLetter, ...]


@dataclass(frozen=True, slots=True)
class SimilarCase:
    """What came of an action for a failure like this one: of the same fingerprint (`is_same`), or of its error code."""

    candidate_id: int
    is_same: bool
    action: str | None
    outcome: Literal["helped", "did_not_help"]
    decided_by: str
    closed_at: datetime | None


@dataclass(frozen=True, slots=True)
class Page:
    """Some candidates in order; `total` is how many match in all, if that was asked for."""

    items: tuple[Summary, ...]
    total: int | None


def page(
    database: Database, wanted: CandidateFilter, limit: int = 50, offset: int = 0, *, with_total: bool = False
) -> Page:
    """The candidates `offset` .. `offset + limit` of those that are wanted. Counting all of them reads them all."""
    asked = {**asdict(wanted), "limit": limit, "offset": offset, "with_total": with_total}
    rows = database.rows("candidates_page", asked)
    return Page(tuple(Summary(*row[1:]) for row in rows if row[1] is not None), rows[0][0])


def one(database: Database, candidate_id: int) -> Candidate | None:
    """All about one candidate; None if there is no such candidate."""
    rows = database.rows("candidate_account", {"id": candidate_id, "newest": NEWEST})
    if not rows:
        return None
    found = dict(zip((field.name for field in fields(Candidate)), rows[0], strict=True))
    for name in ("explain", "rules_evaluated", "execution_result"):
        found[name] = None if found[name] is None else loaded(found[name])
    for name, kind in (("inputs", Input), ("provenance", Provenance), ("events", Event), ("dead_letters", DeadLetter)):
        found[name] = tuple(kind(**_read(each)) for each in json.loads(found[name]))
    return Candidate(**found)


def similar(database: Database, candidate_id: int, limit: int = 5) -> list[SimilarCase]:
    """Past cases like this one of which it is known whether the action helped, those of this very failure first."""
    return [SimilarCase(*row) for row in database.rows("similar_cases", {"id": candidate_id, "limit": limit})]


def _read(row: dict[str, Any]) -> dict[str, Any]:
    """The row with its timestamps as such, and with what the JSON text of its details says."""
    return {name: _value(name, value) for name, value in row.items()}


def _value(name: str, value: Any) -> Any:
    if name == "details":
        return loaded(value)
    return datetime.fromisoformat(value) if name.endswith("_at") and value is not None else value
