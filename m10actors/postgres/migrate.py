"""Applies the numbered, forward-only migrations of `schema/`.

Safe when several processes start at once: one transaction-level advisory lock per database serialises them (session
locks would leak through a pooler). Roles belong to the whole cluster, so `0001_roles.sql` also tolerates the migration
of a neighbouring database.
"""

import hashlib
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg
import psycopg.errors
from psycopg import sql
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from m10actors.postgres.deadlines import Operation, connect
from m10actors.postgres.errors import StoreContention, StoreUnavailable, translate
from m10actors.testing.failpoints import failpoint

CONNECT_SECONDS = 5
LONGEST_QUESTION = 35.0
LONGEST_MIGRATION = 3600.0
"""Deadline of one file in seconds, COMMIT included: an index over a large table takes its time."""

_LOCK = int.from_bytes(hashlib.sha256(b"m10actors.migrate").digest()[:8], "big", signed=True)
_APPLIED = "SELECT number, applied_at FROM m10_recovery.applied_migrations()"
_NAME = re.compile(r"(\d{4})_[a-z_]+\.sql")


class MigrationError(Exception):
    """The schema cannot be brought up to date; the message says which file and why."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file: its number, name and text; `digest` tells whether an applied file was edited afterwards."""

    number: int
    name: str
    text: str

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def as_owner(self) -> bool:
        """Everything but the roles is created by, and so belongs to, m10_owner."""
        return self.number > 1


@dataclass(frozen=True, slots=True)
class Status:
    """A migration and when it was applied here (None: not yet)."""

    migration: Migration
    applied_at: object | None


def migrations(folder: Path) -> list[Migration]:
    """The migrations of a folder in their order; MigrationError if a number is missing or stands twice."""
    found = sorted(path for path in folder.glob("*.sql") if _NAME.fullmatch(path.name))
    listed = [Migration(int(path.name[:4]), path.stem, path.read_text(encoding="utf-8")) for path in found]
    if [m.number for m in listed] != list(range(1, len(listed) + 1)):
        raise MigrationError(f"the numbers of the migrations are not 1 to {len(listed)}: {[m.name for m in listed]}")
    return listed


def create_database(url: str, name: str) -> None:
    """Creates a database on the server of `url`, if it has none of that name."""
    try:
        with Operation(f"creating {name}", LONGEST_QUESTION), connect(url, seconds=CONNECT_SECONDS) as connection:
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
                with suppress(psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
                    connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    except psycopg.Error as error:
        raise translate(error) from error


def migrate(url: str, folder: Path) -> list[Migration]:
    """Applies what is missing, each in a transaction of its own; what was applied. StoreUnavailable if the server
    cannot be reached.
    """
    try:
        with connect(url, seconds=CONNECT_SECONDS) as connection:
            return [migration for migration in migrations(folder) if _apply_once(connection, migration)]
    except psycopg.Error as error:
        raise translate(error) from error


def status(url: str, folder: Path) -> list[Status]:
    """Each migration and when it was applied; StoreUnavailable if the server cannot be reached."""
    try:
        with Operation("the status", LONGEST_QUESTION), connect(url, seconds=CONNECT_SECONDS) as connection:
            applied = connection.execute(_APPLIED).fetchall() if _can_be_asked(connection) else []
    except psycopg.Error as error:
        raise translate(error) from error
    when: dict[int, object] = dict(applied)
    return [Status(migration, when.get(migration.number)) for migration in migrations(folder)]


def pending(url: str, folder: Path) -> list[str]:
    """Names of the migrations that are not applied yet, asked as m10_app, m10_ops or the migrating role; StoreError if
    it cannot be asked.
    """
    return [entry.migration.name for entry in status(url, folder) if entry.applied_at is None]


def _can_be_asked(connection: psycopg.Connection) -> bool:
    exists = connection.execute("SELECT to_regprocedure('m10_recovery.applied_migrations()') IS NOT NULL").fetchone()
    return exists is not None and exists[0]


def _apply_once(connection: psycopg.Connection, migration: Migration) -> bool:
    for attempt in Retrying(
        retry=retry_if_exception_type(StoreContention),
        stop=stop_after_attempt(10),
        wait=wait_random_exponential(multiplier=0.05, max=1),
        reraise=True,
    ):
        with attempt:
            return _attempt(connection, migration)
    raise AssertionError("unreachable: the last attempt returns or raises")


def _attempt(connection: psycopg.Connection, migration: Migration) -> bool:
    try:
        with Operation(f"the migration {migration.name}", LONGEST_MIGRATION), connection.transaction():
            connection.execute("SET LOCAL lock_timeout = '30s'")  # never queues for ever behind a long transaction
            connection.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
            known = _known(connection).get(migration.number)
            if known is not None:
                if known != migration.digest:
                    raise MigrationError(
                        f"{migration.name} was edited after it had been applied: add a new migration instead"
                    )
                return False
            if migration.as_owner:
                connection.execute("SET LOCAL ROLE m10_owner")
            connection.execute(migration.text.encode())
            failpoint("migrate.mid")
            _remember(connection, migration)
    except psycopg.Error as error:
        raise _explained(migration, error) from error
    return True


def _explained(migration: Migration, error: psycopg.Error) -> Exception:
    failure = translate(error)
    if error.sqlstate == "XX000" and "concurrently updated" in str(error):
        return StoreContention("a neighbour's migration wrote the same catalog row", "XX000")
    if isinstance(failure, StoreUnavailable):
        return failure
    if migration.number == 1 and error.sqlstate == "42501":
        return MigrationError(
            "the migrating role may not create roles: have an administrator run what "
            "`m10 migrate --print-sql roles` prints, and grant it membership of m10_owner"
        )
    return MigrationError(f"{migration.name}: {failure}")


def _known(connection: psycopg.Connection) -> dict[int, str]:
    """Number → digest of what was applied here; empty in a new database."""
    exists = connection.execute("SELECT to_regclass('m10_recovery.schema_migration') IS NOT NULL").fetchone()
    if exists is None or not exists[0]:
        return {}
    return dict(connection.execute("SELECT number, digest FROM m10_recovery.schema_migration").fetchall())


def _remember(connection: psycopg.Connection, migration: Migration) -> None:
    connection.execute("SET LOCAL ROLE m10_owner")
    connection.execute(
        "CREATE TABLE IF NOT EXISTS m10_recovery.schema_migration"
        " (number int PRIMARY KEY, name text NOT NULL, digest text NOT NULL,"
        " applied_at timestamptz NOT NULL DEFAULT now())"
    )
    connection.execute(
        "INSERT INTO m10_recovery.schema_migration (number, name, digest) VALUES (%s, %s, %s)",
        [migration.number, migration.name, migration.digest],
    )
