"""Dead letters as operators look at them: lists, groups, one in full. As m10_ops."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from m10actors.postgres.inspection import NEWEST, Listed, Replay, listed, loaded, replays
from m10actors.postgres.pool import Database, jsonb
from m10actors.replay.advice import Stage

State = Literal["waiting", "replayed"]


@dataclass(frozen=True, slots=True)
class LetterFilter:
    """Which dead letters; a condition that is None is none. `reason`: the whole of it, or what stands before its
    colon. `state`: those that nobody has replayed, or the others.
    """

    ids: tuple[int, ...] | None = None
    stage: Stage | None = None
    reason: str | None = None
    fingerprint: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    event_type: str | None = None
    destination: str | None = None
    source: str | None = None
    code: str | None = None
    state: State | None = None

    def as_json(self) -> dict[str, object]:
        """The conditions that there are, as SQL takes them."""
        given = {name: value for name, value in asdict(self).items() if value is not None}
        given |= {name: value.isoformat() for name, value in given.items() if isinstance(value, datetime)}
        return given | ({"ids": list(self.ids)} if self.ids else {})


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter as a list shows it. `fingerprint` is the same for the same cause; `original_msg_id` is what died,
    the same for each death of an event; `replays`: how often its lineage had been replayed when it died.
    """

    id: int
    dl_msg_id: str | None
    stage: Stage
    fingerprint: str
    cause: str
    reason: str | None
    original_msg_id: str | None
    candidate_id: int | None
    event_id: int | None
    error_code: str | None
    source: str | None
    message: str | None
    event_type: str | None
    destination: str | None
    reclaim_count: int
    replays: int
    dead_lettered_at: datetime | None
    replayed_at: datetime | None


@dataclass(frozen=True, slots=True)
class LetterGroup:
    """Dead letters of one cause, `waiting` of them not replayed yet; `sample_id` and what follows it are the newest."""

    fingerprint: str
    stage: Stage
    cause: str
    count: int
    waiting: int
    first_seen: datetime | None
    last_seen: datetime | None
    sample_id: int
    reason: str | None
    error_code: str | None
    message: str | None
    source: str | None
    event_type: str | None
    destination: str | None


@dataclass(frozen=True, slots=True)
class LetterAccount(Letter):
    """All about one dead letter. `replayed_as`: the message that it became. `attempts`: of an event the newest 20, in
    order. `deaths`: the others of the same message. Of the other lists the newest first.
    """

    payload: Any
    failure_match_id: UUID | None
    original_entry_id: str | None
    archived_at: datetime | None
    archived_by: str | None
    replayed_as: str | None
    attempts: tuple[Mapping[str, Any], ...]
    deaths: tuple[Letter, ...]
    replay_log: tuple[Replay, ...]


def letters(database: Database, wanted: LetterFilter, limit: int | None) -> Listed[Letter]:
    """Dead letters, newest first; `limit` None: all."""
    return listed(database, "dead_letters_page", "dead_letters_beyond", Letter, _asked(wanted), limit)


def groups(database: Database, wanted: LetterFilter, limit: int | None) -> Listed[LetterGroup]:
    """Dead letters counted by their cause, the most frequent first."""
    return listed(database, "dead_letter_groups", "dead_letters_beyond", LetterGroup, _asked(wanted), limit)


def letter(database: Database, name: str) -> LetterAccount | None:
    """All about one dead letter, by its number or its dl_msg_id; None if there is none."""
    number = int(name) if name.isdecimal() and len(name) <= 18 else None
    rows = database.rows("dead_letter", {"id": number, "dl_msg_id": name})
    if not rows:
        return None
    found = dict(zip((field.name for field in fields(LetterAccount)), rows[0], strict=False))
    found["payload"] = loaded(found["payload"])
    found["attempts"] = tuple(loaded(found["attempts"]))
    others = deaths(database, found["original_msg_id"])
    found["deaths"] = tuple(death for death in others if death.id != found["id"])
    found["replay_log"] = replays(database, found["original_msg_id"])
    return LetterAccount(**found)


def deaths(database: Database, origin: str | None) -> tuple[Letter, ...]:
    """The dead letters of the message `origin`, newest first."""
    rows = database.rows("deaths_of", {"original_msg_id": origin, "limit": NEWEST})
    return tuple(Letter(*row) for row in rows)


def _asked(wanted: LetterFilter) -> dict[str, object]:
    return {"wanted": jsonb(wanted.as_json())}
