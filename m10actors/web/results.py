"""The result of an execution comes in, from the receiver that carried it out."""

import json
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue

from m10actors import logs, metrics
from m10actors.postgres import executions
from m10actors.postgres.executions import Ended, Result, Told
from m10actors.testing.failpoints import failpoint
from m10actors.web.access import Caller, Doorkeeper
from m10actors.web.bodies import JSON, Body, Inflow, body_of
from m10actors.web.errors import ErrorBody, Refusal, declared
from m10actors.web.schemas import accepts
from m10actors.web.services import Services
from m10actors.web.validation import read

log = logs.logger(__name__)

_MAX_BODY = 64 * 1024
_MAX_TEXT = 4000


def _object_or_text(detail: object) -> object:
    """In the place of the sentences that a union has, one for each of its types."""
    match detail:
        case dict() | None:
            return detail
        case str() if len(detail) <= _MAX_TEXT:
            return detail
        case _:
            raise ValueError(f"should be an object, or a text of at most {_MAX_TEXT:,} characters")


class Report(BaseModel):
    """What the action came to. `detail` is kept with it."""

    model_config = ConfigDict(strict=True, extra="forbid")

    status: Literal["succeeded", "failed", "rolled_back"]
    detail: Annotated[
        dict[str, JsonValue] | Annotated[str, Field(max_length=_MAX_TEXT)] | None, BeforeValidator(_object_or_text)
    ] = None


class Recorded(BaseModel):
    """The first result that was told of this execution, and how the execution ended.

    `ended_by`: `result` (this one), or, where the execution had ended before, `answer` (2xx), `dead_letter`, `timeout`
    or `other` (an UPDATE of another program). Such a late result changes the history, not the candidate.
    """

    execution_id: UUID
    candidate_id: int
    result: Result
    detail: Any
    reported_by: str
    reported_at: datetime
    execution_status: str
    ended_by: str


class Contradiction(ErrorBody):
    """Another result was told before; it stands."""

    first: Recorded


def result_routes(services: Services, door: Doorkeeper) -> APIRouter:
    """`POST /executions/{execution_id}/result`."""
    routes = APIRouter(tags=["executions"])
    WriteToken = Annotated[Caller, Depends(door.needs("recovery:write"))]  # noqa: N806
    ABody = Annotated[Body, Depends(body_of(Inflow(64 * _MAX_BODY), _MAX_BODY, JSON))]  # noqa: N806

    @routes.post(
        "/executions/{execution_id}/result",
        response_model=Recorded,
        responses={409: {"model": Contradiction}, **declared(400, 401, 403, 404, 408, 413, 415, 421, 422, 429, 503)},
        openapi_extra=accepts({JSON: Report.model_json_schema()}),
    )
    async def report(execution_id: UUID, caller: WriteToken, body: ABody) -> Recorded | JSONResponse:
        """Reports what an action came to; the same again changes nothing, another result is refused."""
        told = read(Report, body.raw, max_bytes=_MAX_BODY)
        found = await run_in_threadpool(_report, services, execution_id, told, caller.name)
        return _answer(execution_id, found)

    return routes


def _report(services: Services, execution_id: UUID, told: Report, by: str) -> Told:
    detail = {"text": told.detail} if isinstance(told.detail, str) else told.detail
    found = executions.report(services.database, execution_id, told.status, detail, by)
    failpoint("result.after_commit")
    if found.outcome in {"ended", "late"}:
        log.info("result", execution=str(execution_id), result=told.status, late=found.outcome == "late")
    if found.outcome == "ended":
        metrics.EXECUTION_OUTCOMES.labels(told.status).inc()
    if found.next_event_type is not None:
        metrics.PUBLISHED.labels("recovery_candidate", metrics.event_type_label(found.next_event_type)).inc()
        services.wake()
    return found


def _answer(execution_id: UUID, told: Told) -> Recorded | JSONResponse:
    if told.execution is None:
        raise Refusal(404, "not_found", "there is no such execution")
    first = _recorded(execution_id, told.execution)
    if told.outcome != "conflict":
        return first
    message = f"another result was told before: {first.result}"
    conflict = Contradiction(error="already_reported", message=message, first=first)
    return JSONResponse(conflict.model_dump(mode="json"), 409)


def _recorded(execution_id: UUID, ended: Ended) -> Recorded:
    return Recorded(
        execution_id=execution_id,
        candidate_id=ended.candidate_id,
        result=ended.result,
        detail=None if ended.detail is None else json.loads(ended.detail),
        reported_by=ended.told_by,
        reported_at=ended.told_at,
        execution_status=ended.status,
        ended_by=ended.ended_by,
    )
