"""Evaluations: what is due, who has it in hand, and the one transaction in which it takes effect."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from psycopg.types.json import Jsonb

from m10actors.postgres.arrays import text_array
from m10actors.postgres.pool import Database
from m10actors.recovery.decision import Decision
from m10actors.recovery.facts import Candidate


@dataclass(frozen=True, slots=True)
class Taking:
    """A generation taken through PostgreSQL, by this worker until its lease ends. `attempts` counts this one."""

    candidate_id: int
    generation: int
    attempts: int
    work_id: int | None = None


@dataclass(frozen=True, slots=True)
class Begun:
    """A generation that was begun and has not ended: how often, and whether the last attempt may still run.
    `evaluator`: the leased one that it waits for, if it does.
    """

    attempts: int
    in_hand: bool
    evaluator: str | None = None


@dataclass(frozen=True, slots=True)
class Applied:
    """An evaluation that took effect. `message_due`: the generation that a threshold passed meanwhile made due;
    `refused`: why an action that was to be carried out by itself waits for a person (`capped: …`), None if it does not.
    """

    candidate_id: int
    generation: int
    decision: str
    source: str | None
    event_id: int | None
    message_due: int | None
    refused: str | None = None


@dataclass(frozen=True, slots=True)
class Burial:
    """An evaluation to be given up. `generation` None: the entry named none that can be judged."""

    dl_msg_id: str
    candidate_id: int | None
    generation: int | None
    entry_id: str | None
    payload: Mapping[str, object]
    reason: str


def apply(
    database: Database,
    worker: str,
    decided: Sequence[tuple[Candidate, Decision, int]],
    routes: Mapping[str, object],
    work_ids: Sequence[int] = (),
    limits: Mapping[str, object] | None = None,
) -> list[Applied]:
    """Writes evaluations, as (candidate as read, decision, milliseconds it took); only those that still were due come
    back. `limits`: what may be carried out by itself within an hour, as `admit_executions` takes it.
    """
    rows = database.rows(
        "apply_evaluations",
        {
            "worker": worker,
            "ids": [c.id for c, _, _ in decided],
            "generations": [c.generation for c, _, _ in decided],
            "counts": [c.occurrence_count for c, _, _ in decided],
            "actions": text_array(d.action for _, d, _ in decided),
            "confidences": [d.confidence for _, d, _ in decided],
            "suggestions": text_array(d.suggestion for _, d, _ in decided),
            "explains": text_array(json.dumps(d.explain()) for _, d, _ in decided),
            "rules": text_array(json.dumps(d.rules_evaluated()) for _, d, _ in decided),
            "execute": [d.execute for _, d, _ in decided],
            "durations_ms": [ms for _, _, ms in decided],
            "routes": Jsonb(dict(routes)),
            "work_ids": list(work_ids),
            "records": text_array(json.dumps({"generation": c.generation} | d.record()) for c, d, _ in decided),
            "limits": Jsonb(dict(limits or {})),
        },
    )
    return [Applied(*row) for row in rows]


def begin_attempts(
    database: Database,
    worker: str,
    wanted: Sequence[tuple[int, int]],
    lease: timedelta,
    evaluators: Sequence[str] = (),
) -> dict[tuple[int, int], int]:
    """Counts an attempt at each (candidate, generation) that is free; the number of each attempt, those in other
    hands and those that wait for one of `evaluators` left out.
    """
    rows = database.rows(
        "begin_attempts",
        {
            "worker": worker,
            "ids": [c for c, _ in wanted],
            "generations": [g for _, g in wanted],
            "lease": lease,
            "evaluators": list(evaluators),
        },
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
    return {(row[0], row[1]): Begun(*row[2:]) for row in rows}


def claim_fallback(
    database: Database, worker: str, limit: int, lease: timedelta, evaluators: Sequence[str] = ()
) -> list[Taking]:
    """What is due by the fallback queue and waits for none of `evaluators`."""
    rows = database.rows(
        "claim_fallback", {"worker": worker, "limit": limit, "lease": lease, "evaluators": list(evaluators)}
    )
    return [Taking(row[1], row[2], row[3], row[0]) for row in rows]


def claim_overdue(
    database: Database,
    worker: str,
    limit: int,
    overdue: timedelta,
    lease: timedelta,
    evaluators: Sequence[str] = (),
) -> list[Taking]:
    """The sweep: what has been due for longer than `overdue`, is in nobody's hands and waits for none of
    `evaluators`.
    """
    rows = database.rows(
        "claim_overdue",
        {"worker": worker, "limit": limit, "overdue": overdue, "lease": lease, "evaluators": list(evaluators)},
    )
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
