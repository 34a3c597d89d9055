"""What happened, and who did it: one trail of all that is written down anywhere. As m10_ops."""

from collections import deque
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from m10actors.postgres.inspection import Listed, listed, loaded
from m10actors.postgres.pool import Database

BACK: Final = 100
"""Rows before the last one that a look goes back: a number may be taken a moment before its transaction is known."""
BEFORE: Final = timedelta(minutes=1)
BEFORE_ROWS: Final = 10_000
"""How long ago, and how many rows, an entry may have been written that is still to show when a tail begins."""


class Kind(StrEnum):
    """What an entry is about."""

    EVALUATION = "evaluation"
    VERDICT = "verdict"
    EXECUTION = "execution"
    REPLAY = "replay"
    DEAD_LETTER = "dead_letter"
    PURGE = "purge"
    PAUSE = "pause"
    TOKEN = "token"  # noqa: S105 (a word)
    RULES = "rules"
    SETTINGS = "settings"
    LOCK = "lock"
    JOB = "job"
    PROCESS = "process"
    MIGRATION = "migration"
    OTHER = "other"


PROVENANCE: Final = {
    **dict.fromkeys(("created", "rule_evaluated", "action_selected", "confidence_updated"), Kind.EVALUATION),
    "round_closed": Kind.EVALUATION,
    **dict.fromkeys(("approved", "rejected", "first_approved"), Kind.VERDICT),
    **dict.fromkeys(("executed", "success", "failure", "rolled_back", "skipped"), Kind.EXECUTION),
    **dict.fromkeys(("came_back", "manual_override"), Kind.EXECUTION),
    **dict.fromkeys(("resent", "replayed"), Kind.REPLAY),
    "evaluation_given_up": Kind.DEAD_LETTER,
}
"""What the words of provenance are about (docs/states.md)."""


@dataclass(frozen=True, slots=True)
class TrailFilter:
    """Which entries; a condition that is None is none. `since` is in, `until` is not; `actor` stands anywhere in the
    name, in any letter case. `with_archive`: also what retention has archived, which for one candidate is always read.
    """

    candidate: int | None = None
    kinds: tuple[Kind, ...] | None = None
    actor: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    with_archive: bool = False


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened. `ref`: where it is written down, the same whenever it is read; `actor_type`: human or
    system, None where that is not known. `at` is None for a moment that no calendar knows.
    """

    at: datetime | None
    ref: str
    kind: str
    event: str
    subject: str
    candidate_id: int | None
    actor: str | None
    actor_type: str | None
    details: Any


def trail(database: Database, wanted: TrailFilter, limit: int | None) -> Listed[Entry]:
    """The newest entries, the newest first; `limit` None: all."""
    return listed(database, "audit_trail", "audit_beyond", _entry, _asked(wanted), limit)


@dataclass(frozen=True, slots=True)
class Look:
    """Where the trail was at a look. A transaction that was open then has a number below `next_transaction`."""

    last_row: int
    moment: datetime
    oldest_transaction: int
    next_transaction: int


class Tail:
    """What comes after what was there, each entry once, in the order in which it shows.

    An entry has its moment and its number when it is written, and shows when that is committed. So each look goes back
    to the last one of which every transaction that was open then had ended before another look, and leaves out what was
    told.
    """

    def __init__(self, database: Database, wanted: TrailFilter) -> None:
        self._database = database
        self._wanted = wanted
        self._told: set[str] = set()
        self._looks: deque[Look] = deque()

    def begin(self, limit: int) -> list[Entry]:
        """What was there: the newest entries, the oldest of them first."""
        now = self._look()
        self._looks.append(replace(now, last_row=now.last_row - BEFORE_ROWS, moment=now.moment - BEFORE))
        self.next()
        found = trail(self._database, self._wanted, limit).rows[::-1]
        self._told.update(entry.ref for entry in found)  # what came between these two is told once, here or next
        return list(found)

    def next(self) -> list[Entry]:
        """What has come since the look before, the oldest first. StoreError: as if nobody had asked."""
        before = self._looks[-1]
        while len(self._looks) > 1 and self._looks[1].next_transaction <= before.oldest_transaction:
            self._looks.popleft()
        settled, now = self._looks[0], self._look()
        after = settled.last_row - BACK
        asked = _asked(replace(self._wanted, since=settled.moment, with_archive=False)) | {"after": after}
        rows = self._database.rows("audit_trail", asked | {"searched": None, "limit": None})
        self._looks.append(now)
        found = [_entry(*row) for row in reversed(rows)]
        fresh = [entry for entry in found if entry.ref not in self._told]
        self._told = {entry.ref for entry in found}
        return fresh

    def _look(self) -> Look:
        return Look(*self._database.rows("audit_now")[0])


def _asked(wanted: TrailFilter) -> dict[str, object]:
    kinds = wanted.kinds
    words = None if kinds is None else [word for word, kind in PROVENANCE.items() if kind in kinds]
    asked: dict[str, object] = {"kinds": None if kinds is None else list(kinds), "words": words, "after": 0}
    return asdict(wanted) | asked | {"others": kinds is not None and Kind.OTHER in kinds, "known": list(PROVENANCE)}


def _entry(*row: Any) -> Entry:
    entry = Entry(*row)
    kind = entry.kind or PROVENANCE.get(entry.event, Kind.OTHER)
    return replace(entry, kind=kind, details=loaded(entry.details))
