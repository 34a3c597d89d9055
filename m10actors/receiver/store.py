"""What a receiver has to remember: which events it has carried out, and the newest epoch that it has seen."""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Protocol


class Begun(StrEnum):
    """What an event is to the store when it comes."""

    NEW = "new"
    BUSY = "busy"
    RUNNING = "running"
    DONE = "done"
    OLD_EPOCH = "old_epoch"


class Store(Protocol):
    """Implement it on your own database to remember an event in the transaction that carries it out. Each call is one
    transaction; several processes may share a store.
    """

    def begin(self, event_id: str, epoch: int, attempt: str, busy_seconds: float) -> Begun:
        """OLD_EPOCH if a newer one was seen. Else remembers the epoch, and says NEW if the caller is to carry the event
        out in this `attempt`: nobody has, and nobody began to within `busy_seconds`.
        """

    def finish(self, event_id: str, *, running: bool) -> None:
        """It is carried out, by whichever attempt; `running`: its result is reported later."""

    def abandon(self, event_id: str, attempt: str) -> None:
        """This attempt did not carry it out: it may be begun again, unless another attempt has it by now."""


_SCHEMA = """
CREATE TABLE IF NOT EXISTS event (id TEXT PRIMARY KEY, state TEXT NOT NULL, at REAL NOT NULL, attempt TEXT)
    WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS event_at ON event (at);
CREATE TABLE IF NOT EXISTS epoch (one INTEGER PRIMARY KEY CHECK (one = 1), newest INTEGER NOT NULL);
"""
_ADD_ATTEMPT = "ALTER TABLE event ADD COLUMN attempt TEXT"
"""For a file that was made before attempts were told apart."""
_WAIT_SECONDS = 10.0


class SqliteStore:
    """A store in a file, which outlives the process and may be shared by several on one host.

    Forgets an event `keep` after its last word; that has to be longer than the sender tries. OSError or sqlite3.Error
    if the file cannot be used.
    """

    def __init__(
        self, path: Path | str, *, keep: timedelta = timedelta(days=30), clock: Callable[[], float] = time.time
    ) -> None:
        self._path = path
        self._keep = keep.total_seconds()
        self._clock = clock
        self._lock = threading.Lock()
        with closing(self._connected()) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.executescript(_SCHEMA)
            if "attempt" not in {row[1] for row in connection.execute("PRAGMA table_info(event)")}:
                connection.execute(_ADD_ATTEMPT)

    def begin(self, event_id: str, epoch: int, attempt: str, busy_seconds: float) -> Begun:
        with self._transaction() as connection:
            now = self._clock()
            row = connection.execute("SELECT newest FROM epoch").fetchone()
            if row is not None and epoch < row[0]:
                return Begun.OLD_EPOCH
            connection.execute("INSERT OR REPLACE INTO epoch VALUES (1, ?)", [epoch])
            connection.execute("DELETE FROM event WHERE at < ?", [now - self._keep])
            known = connection.execute("SELECT state, at FROM event WHERE id = ?", [event_id]).fetchone()
            if known is not None and (known[0] != Begun.BUSY or known[1] > now - busy_seconds):
                return Begun(known[0])
            connection.execute("INSERT OR REPLACE INTO event VALUES (?, ?, ?, ?)", [event_id, Begun.BUSY, now, attempt])
            return Begun.NEW

    def finish(self, event_id: str, *, running: bool) -> None:
        state = Begun.RUNNING if running else Begun.DONE
        with self._transaction() as connection:
            connection.execute("INSERT OR REPLACE INTO event VALUES (?, ?, ?, NULL)", [event_id, state, self._clock()])

    def abandon(self, event_id: str, attempt: str) -> None:
        with self._transaction() as connection:
            connection.execute(
                "DELETE FROM event WHERE id = ? AND state = ? AND attempt = ?", [event_id, Begun.BUSY, attempt]
            )

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """One that holds the write lock from its start: what it reads stays true until it commits."""
        with self._lock, closing(self._connected()) as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    def _connected(self) -> sqlite3.Connection:
        return sqlite3.connect(self._path, timeout=_WAIT_SECONDS, isolation_level=None)
