"""Evaluations: what is due, who has it in hand, and the one transaction in which it takes effect."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from msgspec import Struct
from psycopg.types.json import Jsonb

from m10actors.postgres.arrays import Bigints, Booleans, Ints, Reals, Texts
from m10actors.postgres.json_text import json_bytes
from m10actors.postgres.pool import Database
from m10actors.recovery.contexts import Contexts
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


class Applied(Struct, frozen=True):
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


class Judged(Struct, frozen=True):
    """A candidate as it was read, what was decided, and how many milliseconds that took. `provenance`: whether it
    leaves rows that say so.
    """

    candidate: Candidate
    decision: Decision
    milliseconds: int
    provenance: bool = True


def apply(
    database: Database,
    worker: str,
    judged: Sequence[Judged],
    routes: Mapping[str, object],
    work_ids: Sequence[int] = (),
    limits: Mapping[str, object] | None = None,
) -> list[Applied]:
    """Writes evaluations; only those that still were due come back. `limits`: what may be carried out by itself within
    an hour, as `admissible_executions` takes it.
    """
    candidates, decisions = [each.candidate for each in judged], [each.decision for each in judged]
    contexts = Contexts()
    rows = database.rows(
        "apply_evaluations",
        {
            "worker": worker,
            "ids": Bigints([c.id for c in candidates]),
            "generations": Ints([c.generation for c in candidates]),
            "counts": Bigints([c.occurrence_count for c in candidates]),
            "actions": Texts([d.action for d in decisions]),
            "confidences": Reals([d.confidence for d in decisions]),
            "suggestions": Texts([d.suggestion for d in decisions]),
            "explains": Texts([json_bytes(d.explain()) for d in decisions]),
            "rules": Texts([json_bytes(d.rules_evaluated()) for d in decisions]),
            "records": Texts([json_bytes(_record(each, contexts)) if each.provenance else None for each in judged]),
            "execute": Booleans([d.execute for d in decisions]),
            "durations_ms": Ints([each.milliseconds for each in judged]),
            "contexts": Jsonb(contexts.by_digest),
            "routes": Jsonb(dict(routes)),
            "limits": Jsonb(dict(limits or {})),
            "work_ids": Bigints(work_ids),
        },
    )
    return [Applied(*row) for row in rows]


def _record(judged: Judged, contexts: Contexts) -> Mapping[str, object]:
    """As the provenance has it; `whole_record` puts the context in its place again."""
    generation = {"generation": judged.candidate.generation}
    digest = contexts.digest(judged.decision)
    return generation | judged.decision.own() | ({"context": digest} if digest else {})


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
    told: Sequence[int] = (),
    told_overdue: timedelta = timedelta(0),
) -> list[Taking]:
    """The sweep: what has been due for longer than `overdue`, is in nobody's hands and waits for none of `evaluators`.
    Of the candidates `told`, of which the stream tells, only what has been due for longer than `told_overdue` too.
    """
    rows = database.rows(
        "claim_overdue",
        {
            "worker": worker,
            "limit": limit,
            "overdue": overdue,
            "lease": lease,
            "evaluators": list(evaluators),
            "told": list(told),
            "told_overdue": told_overdue,
        },
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
