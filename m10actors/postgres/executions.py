"""Executions of actions: the result that is told later, and those of which nothing was heard."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from psycopg.types.json import Jsonb

from m10actors.postgres.pool import Database

Result = Literal["succeeded", "failed", "rolled_back"]


@dataclass(frozen=True, slots=True)
class Ended:
    """An execution that has ended, how (`status`) and by what (`ended_by`), with the first result that was told of it.

    `detail` is JSON text.
    """

    candidate_id: int
    status: str
    ended_by: str
    result: Result
    detail: str | None
    told_by: str
    told_at: datetime


@dataclass(frozen=True, slots=True)
class Told:
    """What became of a result: `ended` the execution, came `late` (it had ended before, and only the history changes),
    `repeated` what was told before, or is in `conflict` with it.

    `execution` is None where there is no such one. `message_due`: the generation of its candidate that became due;
    `next_event_type`: of the action that follows.
    """

    outcome: Literal["ended", "late", "repeated", "conflict", "not_found"]
    execution: Ended | None
    message_due: int | None
    next_event_type: str | None


@dataclass(frozen=True, slots=True)
class Resolved:
    """How many executions of other programs were `adopted`, ended as `unknown`, and turned out to be no help."""

    adopted: int
    unknown: int
    came_back: int


def report(
    database: Database, execution_id: UUID, result: Result, detail: Mapping[str, object] | None, by: str
) -> Told:
    """Writes the result of an execution, once."""
    given = {
        "execution_id": execution_id,
        "status": result,
        "detail": None if detail is None else Jsonb(dict(detail)),
        "by": by,
    }
    outcome, *execution, message_due, next_event_type = database.rows("report_result", given)[0]
    return Told(outcome, None if execution[0] is None else Ended(*execution), message_due, next_event_type)


def resolve(database: Database, by: str, limit: int) -> Resolved:
    """One bounded batch, as m10_ops."""
    return Resolved(*database.rows("resolve_executions", {"by": by, "limit": limit})[0])
