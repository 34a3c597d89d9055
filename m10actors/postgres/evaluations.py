"""Evaluations: what is due, who has it in hand, and the one transaction in which it takes effect."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from psycopg.types.json import Jsonb

from m10actors.postgres.pool import Database
from m10actors.recovery.actions import Action
from m10actors.recovery.confidence import Cases
from m10actors.recovery.decision import Candidate, Decision, History
from m10actors.recovery.failure import Failure


@dataclass(frozen=True, slots=True)
class Input:
    """A candidate as an evaluation sees it. It is due while generation > evaluated_generation."""

    candidate: Candidate
    evaluated_generation: int
    history: History


@dataclass(frozen=True, slots=True)
class Taking:
    """A generation taken through PostgreSQL, by this worker until its lease ends. `attempts` counts this one."""

    candidate_id: int
    generation: int
    attempts: int
    work_id: int | None = None


@dataclass(frozen=True, slots=True)
class Begun:
    """A generation that was begun and has not ended: how often, and whether the last attempt may still run."""

    attempts: int
    in_hand: bool


@dataclass(frozen=True, slots=True)
class Applied:
    """An evaluation that took effect. `message_due`: the generation that a threshold passed meanwhile made due."""

    candidate_id: int
    generation: int
    decision: str
    source: str | None
    event_id: int | None
    message_due: int | None


@dataclass(frozen=True, slots=True)
class Burial:
    """An evaluation to be given up. `generation` None: the entry named none that can be judged."""

    dl_msg_id: str
    candidate_id: int | None
    generation: int | None
    entry_id: str | None
    payload: Mapping[str, object]
    reason: str


def inputs(database: Database, candidate_ids: Sequence[int]) -> dict[int, Input]:
    """The candidates by id; those without a row are left out (their commit may be on its way)."""
    found = database.rows("evaluation_inputs", {"ids": list(candidate_ids)})
    return {row[0]: _input(row) for row in found}


def preview(database: Database, subject: int | Failure) -> tuple[Input | None, History]:
    """For a dry run: the candidate with this id, or the one that the failure would fold into, as an evaluation would
    see it now, due or not; None if there is none. And the history that an evaluation of `subject` would go by.
    """
    asked: dict[str, object] = {"candidate_id": None, "match_id": None, "signature": None, "code": None}
    match subject:
        case Failure():
            asked |= {
                "match_id": subject.failure_match_id,
                "signature": subject.error_signature,
                "code": subject.error_code,
            }
        case candidate_id:
            asked |= {"candidate_id": candidate_id}
    row = database.rows("preview_input", asked)[0]
    return None if row[0] is None else _input(row), _history(row[9])


def _input(row: Sequence[Any]) -> Input:
    return Input(
        candidate=Candidate(
            id=row[0],
            generation=row[1],
            error_code=row[3] or "",
            error_message=row[4] or "",
            source=row[5] or "",
            fingerprint=row[6] or "",
            occurrence_count=row[7],
            since_executed=row[8],
        ),
        evaluated_generation=row[2],
        history=_history(row[9]),
    )


def _history(outcomes: list[tuple[str, bool, float]]) -> History:
    by_action: dict[str, list[tuple[bool, timedelta]]] = defaultdict(list)
    for action, succeeded, age_seconds in outcomes:
        by_action[action].append((succeeded, timedelta(seconds=age_seconds)))
    return History(tuple(Cases.of(action, cases) for action, cases in by_action.items()))


def actions(database: Database) -> dict[str, Action]:
    """The active actions by their code."""
    return {row[0]: Action(*row) for row in database.rows("active_actions")}


def apply(
    database: Database,
    worker: str,
    decided: Sequence[tuple[Candidate, Decision, int]],
    routes: Mapping[str, object],
    work_ids: Sequence[int] = (),
) -> list[Applied]:
    """Writes evaluations, as (candidate as read, decision, milliseconds it took); only those that still were due come
    back.
    """
    rows = database.rows(
        "apply_evaluations",
        {
            "worker": worker,
            "ids": [c.id for c, _, _ in decided],
            "generations": [c.generation for c, _, _ in decided],
            "counts": [c.occurrence_count for c, _, _ in decided],
            "actions": [d.action for _, d, _ in decided],
            "confidences": [d.confidence for _, d, _ in decided],
            "suggestions": [d.suggestion for _, d, _ in decided],
            "explains": [json.dumps(d.explain()) for _, d, _ in decided],
            "rules": [json.dumps(d.rules_evaluated()) for _, d, _ in decided],
            "execute": [d.execute for _, d, _ in decided],
            "durations_ms": [ms for _, _, ms in decided],
            "routes": Jsonb(dict(routes)),
            "work_ids": list(work_ids),
        },
    )
    return [Applied(*row) for row in rows]


def begin_attempts(
    database: Database, worker: str, wanted: Sequence[tuple[int, int]], lease: timedelta
) -> dict[tuple[int, int], int]:
    """Counts an attempt at each (candidate, generation) that is free; the number of each attempt, those in other
    hands left out.
    """
    rows = database.rows(
        "begin_attempts",
        {"worker": worker, "ids": [c for c, _ in wanted], "generations": [g for _, g in wanted], "lease": lease},
    )
    return {(row[0], row[1]): row[2] for row in rows}


def renew_attempts(database: Database, worker: str, begun: Sequence[tuple[int, int]], lease: timedelta) -> int:
    """Prolongs the attempts at each (candidate, generation) that are still this worker's; how many."""
    renewed: int = database.value(
        "renew_attempts",
        {"worker": worker, "ids": [c for c, _ in begun], "generations": [g for _, g in begun], "lease": lease},
    )
    return renewed


def attempts_made(database: Database, wanted: Sequence[tuple[int, int | None]]) -> dict[tuple[int, int | None], Begun]:
    """How far others have come with each (candidate, generation), where None is the one that is due. What nobody has
    begun, or what has ended, is left out.
    """
    rows = database.rows("attempts_made", {"ids": [c for c, _ in wanted], "generations": [g for _, g in wanted]})
    return {(row[0], row[1]): Begun(row[2], row[3]) for row in rows}


def claim_fallback(database: Database, worker: str, limit: int, lease: timedelta) -> list[Taking]:
    rows = database.rows("claim_fallback", {"worker": worker, "limit": limit, "lease": lease})
    return [Taking(row[1], row[2], row[3], row[0]) for row in rows]


def claim_overdue(database: Database, worker: str, limit: int, overdue: timedelta, lease: timedelta) -> list[Taking]:
    """The sweep: what has been due for longer than `overdue` and is in nobody's hands."""
    rows = database.rows("claim_overdue", {"worker": worker, "limit": limit, "overdue": overdue, "lease": lease})
    return [Taking(*row) for row in rows]


def complete_works(database: Database, work_ids: Sequence[int]) -> None:
    """Ends rows of the fallback queue whose candidates turned out to be done."""
    database.rows("complete_works", {"work_ids": list(work_ids)})


def bury(database: Database, worker: str, burials: Sequence[Burial]) -> set[str]:
    """Writes the dead letters of record; the dl_msg_ids of those that were, the others were evaluated or taken
    meanwhile.
    """
    rows = database.rows(
        "bury_evaluations",
        {
            "worker": worker,
            "dl_msg_ids": [b.dl_msg_id for b in burials],
            "candidate_ids": [b.candidate_id for b in burials],
            "generations": [b.generation for b in burials],
            "entry_ids": [b.entry_id for b in burials],
            "payloads": [Jsonb(dict(b.payload)) for b in burials],
            "reasons": [b.reason for b in burials],
        },
    )
    return {row[0] for row in rows}


def take_over(database: Database, dead: Sequence[str]) -> tuple[int, int, int, int]:
    """Frees what the dead held (worker ids, or `worker/child`): how many locks, events, fallback rows and
    evaluations.
    """
    locks, events, works, evaluations = database.rows("take_over", {"dead": list(dead)})[0]
    return locks, events, works, evaluations
