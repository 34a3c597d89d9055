"""Dead letters as operators look at them: lists, groups, one in full. As m10_ops."""

from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from m10actors.postgres.inspection import NEWEST, Listed, Replay, listed, loaded, replays
from m10actors.postgres.pool import Database

Kind = Literal["evaluation", "event", "entry", "other"]


@dataclass(frozen=True, slots=True)
class LetterFilter:
    """Which dead letters; a condition that is None is none. `reason`: the whole of it, or what stands before its
    colon.
    """

    kind: Kind | None = None
    reason: str | None = None
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter as a list shows it. `original_msg_id` is what died: the same for each of its deaths."""

    id: int
    dl_msg_id: str | None
    kind: Kind
    cause: str
    reason: str | None
    original_msg_id: str | None
    candidate_id: int | None
    event_id: int | None
    reclaim_count: int
    dead_lettered_at: datetime | None


@dataclass(frozen=True, slots=True)
class LetterGroup:
    """Dead letters of one kind and cause; `newest_id` is an example."""

    kind: Kind
    cause: str
    count: int
    oldest_at: datetime | None
    newest_at: datetime | None
    newest_id: int


@dataclass(frozen=True, slots=True)
class LetterAccount(Letter):
    """All about one dead letter. `deaths`: the others of the same message. Of all lists the newest first."""

    payload: Any
    failure_match_id: UUID | None
    original_entry_id: str | None
    archived_at: datetime | None
    archived_by: str | None
    deaths: tuple[Letter, ...]
    replays: tuple[Replay, ...]


def letters(database: Database, wanted: LetterFilter, limit: int | None) -> Listed[Letter]:
    """Dead letters, newest first; `limit` None: all."""
    return listed(database, "dead_letters_page", "dead_letters_beyond", Letter, asdict(wanted), limit)


def groups(database: Database, wanted: LetterFilter, limit: int | None) -> Listed[LetterGroup]:
    """Dead letters counted by kind and cause, the most frequent first."""
    return listed(database, "dead_letter_groups", "dead_letters_beyond", LetterGroup, asdict(wanted), limit)


def letter(database: Database, name: str) -> LetterAccount | None:
    """All about one dead letter, by its number or its dl_msg_id; None if there is none."""
    number = int(name) if name.isdecimal() and len(name) <= 18 else None
    rows = database.rows("dead_letter", {"id": number, "dl_msg_id": name})
    if not rows:
        return None
    found = dict(zip((field.name for field in fields(LetterAccount)), rows[0], strict=False))
    found["payload"] = loaded(found["payload"])
    others = deaths(database, found["original_msg_id"])
    found["deaths"] = tuple(death for death in others if death.id != found["id"])
    found["replays"] = replays(database, found["original_msg_id"])
    return LetterAccount(**found)


def deaths(database: Database, origin: str | None) -> tuple[Letter, ...]:
    """The dead letters of the message `origin`, newest first."""
    rows = database.rows("deaths_of", {"original_msg_id": origin, "limit": NEWEST})
    return tuple(Letter(*row) for row in rows)
