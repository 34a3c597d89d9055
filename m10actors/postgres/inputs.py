"""What decisions are made from, as PostgreSQL gives it."""

import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache

from m10actors.postgres.arrays import Bigints
from m10actors.postgres.deadlines import Row
from m10actors.postgres.pool import Database
from m10actors.recovery.actions import Action
from m10actors.recovery.confidence import Cases
from m10actors.recovery.facts import Candidate, History
from m10actors.recovery.failure import Failure


class Input:
    """A candidate as an evaluation sees it, made from its row when it is asked for: of what is done nobody asks. It is
    due while generation > evaluated_generation.
    """

    __slots__ = ("_history", "_row", "evaluated_generation", "generation")

    def __init__(self, row: Row, history: Callable[[str, str], History]) -> None:
        self._row = row
        self._history = history
        self.generation: int = row[1]
        self.evaluated_generation: int = row[2]

    @property
    def candidate(self) -> Candidate:
        row = self._row
        return Candidate(
            id=row[0],
            generation=row[1],
            error_code=row[3] or "",
            error_message=row[4] or "",
            source=row[5] or "",
            fingerprint=row[6] or "",
            occurrence_count=row[7],
            at=row[8].astimezone(UTC),
            since_executed=row[9],
            age=row[10],
            rates=_rates(row[11]) if row[11] else (),
        )

    @property
    def history(self) -> History:
        return self._history(self._row[12], self._row[13])


@dataclass(frozen=True, slots=True)
class Prospect:
    """What a decision would be made from: the candidate, if there is one, and the history, as of the moment `at`."""

    candidate: Candidate | None
    at: datetime
    history: History


def read(database: Database, candidate_ids: Sequence[int]) -> dict[int, Input]:
    """The candidates by id; those without a row are left out (their commit may be on its way)."""
    history = cache(_history)  # that of an error code is the same text for many
    rows = database.rows("evaluation_inputs", {"ids": Bigints(candidate_ids)}, binary=True)
    return {row[0]: Input(row, history) for row in rows}


def preview(database: Database, subject: int | Failure) -> Prospect | None:
    """For a dry run: the candidate with this id, or the one that the failure would fold into, as an evaluation would
    see it now, due or not; None for an id that there is not.
    """
    asked: dict[str, object] = dict.fromkeys(("candidate_id", "match_id", "signature", "code", "fingerprint"))
    match subject:
        case Failure():
            asked |= {
                "match_id": subject.failure_match_id,
                "signature": subject.error_signature,
                "code": subject.error_code,
                "fingerprint": subject.fingerprint,
            }
        case candidate_id:
            asked |= {"candidate_id": candidate_id}
    row = database.rows("preview_input", asked)[0]
    if row[0] is not None:
        given = Input(row, _history)
        candidate = given.candidate
        return Prospect(candidate, candidate.at, given.history)
    return Prospect(None, row[8], _history(row[12], row[13])) if isinstance(subject, Failure) else None


def actions(database: Database) -> dict[str, Action]:
    """The active actions by their code."""
    rows = database.rows("active_actions")
    return {
        code: Action(code, is_automated, needs_approval, applications=applications, successes=successes)
        for code, is_automated, needs_approval, applications, successes in rows
    }


def _rates(seen: Sequence[tuple[int, float]]) -> tuple[tuple[timedelta, float], ...]:
    return tuple((timedelta(seconds=window), float(times)) for window, times in seen)


def _history(of_code: str, of_fingerprint: str) -> History:
    return History(code=_cases(of_code), fingerprint=_cases(of_fingerprint))


def _cases(outcomes: str) -> tuple[Cases, ...]:
    by_action: dict[str, list[tuple[bool, timedelta]]] = defaultdict(list)
    for action, helped, age_seconds in json.loads(outcomes):
        by_action[action].append((helped, timedelta(seconds=age_seconds)))
    return tuple(Cases.of(action, by_action[action]) for action in sorted(by_action))
