"""API tokens: shown once when made, stored as SHA-256 only."""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from m10actors.postgres.errors import StoreRefused
from m10actors.postgres.pool import Database

SCOPES = ("recovery:write", "recovery:read", "recovery:approve", "ops")
_PREFIX = "m10_"


@dataclass(frozen=True, slots=True)
class Token:
    """Who a token stands for and what it may do."""

    name: str
    scopes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TokenRecord:
    """A token as it is listed: never its text."""

    name: str
    scopes: tuple[str, ...]
    created_at: datetime
    revoked_at: datetime | None


def create(database: Database, name: str, scopes: Sequence[str], by: str | None = None) -> str:
    """Makes a token and returns its text, which is stored nowhere; StoreRefused if the name is taken. Operations role;
    `by`: who acts, where it is not whoever is connected.
    """
    text = _PREFIX + secrets.token_urlsafe(32)
    if not database.run("create_token", {"name": name, "hash": _hash(text), "scopes": list(scopes), "by": by}):
        raise StoreRefused(f"a token named {name!r} exists already")
    return text


def find(database: Database, text: str) -> Token | None:
    """The live token of this text. It is looked up by its hash, so that no comparison depends on how much of it is
    right.
    """
    rows = database.rows("find_token", {"hash": _hash(text)})
    return Token(rows[0][0], tuple(rows[0][1])) if rows else None


def listed(database: Database) -> list[TokenRecord]:
    return [TokenRecord(row[0], tuple(row[1]), row[2], row[3]) for row in database.rows("list_tokens")]


def revoke(database: Database, name: str, by: str | None = None) -> bool:
    """Whether a live token of that name was ended; `by` as for `create`."""
    return database.run("revoke_token", {"name": name, "by": by}) > 0


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
