"""What the lists and accounts for operators share: how far a list looks, replays, JSON as it was stored. As m10_ops."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Generic, TypeVar

from m10actors.postgres.pool import Database
from m10actors.recovery.nesting import READABLE_LEVELS, is_deeper

T = TypeVar("T")

SEARCHED: Final = 100_000
"""How many rows a list looks at for what its conditions ask, so that none reads a whole table unasked."""
NEWEST: Final = 50
"""How many deaths and replays of one message are told."""


@dataclass(frozen=True, slots=True)
class Listed(Generic[T]):
    """Rows of a list; `more`: there are others. `searched_all`: False if further rows were not looked at."""

    rows: tuple[T, ...]
    more: bool
    searched_all: bool


@dataclass(frozen=True, slots=True)
class Replay:
    """Somebody had a message sent or evaluated again."""

    at: datetime | None
    by: str | None
    why: str | None
    dl_msg_id: str | None


def listed(
    database: Database,
    query: str,
    beyond: str,
    kind: Callable[..., T],
    conditions: Mapping[str, object],
    limit: int | None,
) -> Listed[T]:
    """At most `limit` rows of `query`, found among the first SEARCHED; without a limit all rows, found among all.

    `beyond` is the query that says whether there are rows after the first so many.
    """
    if limit is None:
        rows = database.rows(query, {**conditions, "searched": None, "limit": None})
        return Listed(tuple(kind(*row) for row in rows), more=False, searched_all=True)
    rows = database.rows(query, {**conditions, "searched": SEARCHED, "limit": limit + 1})
    more = len(rows) > limit
    searched_all = more or not database.value(beyond, {**conditions, "searched": SEARCHED})
    return Listed(tuple(kind(*row) for row in rows[:limit]), more=more, searched_all=searched_all)


def replays(database: Database, origin: str | None) -> tuple[Replay, ...]:
    """When the message `origin` was sent or evaluated again, newest first."""
    rows = database.rows("replays_of", {"original_msg_id": origin, "limit": NEWEST})
    return tuple(Replay(*row) for row in rows)


def loaded(text: str) -> Any:
    """What JSON text says; its beginning where Python cannot read what was stored (too deep, too many digits)."""
    unreadable = {"unreadable": text[:1000]}
    if is_deeper(text.encode(), READABLE_LEVELS):
        return unreadable
    try:
        return json.loads(text)
    except ValueError:
        return unreadable
