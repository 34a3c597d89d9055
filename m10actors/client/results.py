"""What comes back: an outcome for each failure, and the figures of what was captured."""

from dataclasses import dataclass
from typing import Literal, TypeAlias
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a failure; `field` is its JSON path, empty for the failure as a whole."""

    code: str
    field: str
    message: str

    def __str__(self) -> str:
        return f"{self.code}: {self.field} {self.message}" if self.field else f"{self.code}: {self.message}"


@dataclass(frozen=True, slots=True)
class Stored:
    """The failure is stored: `accepted` opened a candidate, `duplicate` folded into one.

    `counted` is False only where its idempotency key had been seen before.
    """

    candidate_id: int
    status: Literal["accepted", "duplicate"]
    failure_match_id: UUID
    occurrence_count: int
    counted: bool
    message: str


@dataclass(frozen=True, slots=True)
class Rejected:
    """The failure is not stored, and why."""

    problems: tuple[Problem, ...]
    status: Literal["rejected"] = "rejected"


Outcome: TypeAlias = Stored | Rejected


@dataclass(frozen=True, slots=True)
class Stats:
    """What became of the failures that were captured, since the client was made in this process.

    `sent` and `duplicates` (keys that the server knew: an answer had been lost) are stored, `rejected` were refused by
    the server, `dropped` found no room or could not be read. `torn` are lines of a spool that a crash had cut.
    `waiting` are in memory or on disk. What a dead process left is sent too, so `sent` can exceed `captured`.
    """

    captured: int
    sent: int
    duplicates: int
    rejected: int
    dropped: int
    torn: int
    waiting: int
