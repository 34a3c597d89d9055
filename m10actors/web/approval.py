"""A person's verdict on a candidate comes in."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from m10actors import logs, metrics
from m10actors.postgres import verdicts
from m10actors.postgres.verdicts import Verdict, why_not
from m10actors.web.access import Caller, Doorkeeper
from m10actors.web.bodies import JSON, Body, Inflow, body_of
from m10actors.web.errors import ErrorBody, Refusal, declared
from m10actors.web.schemas import accepts
from m10actors.web.services import Services
from m10actors.web.validation import read

log = logs.logger(__name__)

_MAX_BODY = 64 * 1024


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("has characters that do not print")
    return text


class Approval(BaseModel):
    """The verdict. `generation`: the evaluation that the person saw. `approved_by`: who the sender says has decided."""

    model_config = ConfigDict(strict=True, extra="forbid")

    candidate_id: Annotated[int, Field(ge=1, le=2**63 - 1)]
    decision: Literal["approved", "rejected"]
    approved_by: Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_printable)] | None = None
    note: Annotated[str, Field(max_length=4000)] | None = None
    generation: Annotated[int, Field(ge=1, le=2**31 - 1)] | None = None


class Standing(BaseModel):
    """How the candidate stands now."""

    candidate_id: int
    decision: str
    execution_status: str | None
    evaluated_generation: int


class Decided(Standing):
    """The verdict is written; `event_id` is the outbox event that carries the action out."""

    decided_by: str
    event_id: int | None


class Conflict(ErrorBody):
    """The verdict was not written, because the candidate is not as the person saw it or can no longer be decided."""

    candidate: Standing


def approval_routes(services: Services, door: Doorkeeper) -> APIRouter:
    """`POST /approve`."""
    routes = APIRouter(tags=["review"])
    ApproveToken = Annotated[Caller, Depends(door.needs("recovery:approve"))]  # noqa: N806
    ABody = Annotated[Body, Depends(body_of(Inflow(64 * _MAX_BODY), _MAX_BODY, JSON))]  # noqa: N806

    @routes.post(
        "/approve",
        response_model=Decided,
        responses={409: {"model": Conflict}, **declared(400, 401, 403, 404, 408, 413, 415, 421, 422, 429, 503)},
        openapi_extra=accepts({JSON: Approval.model_json_schema()}),
    )
    async def approve(caller: ApproveToken, body: ABody) -> Decided | JSONResponse:
        """Approves or rejects what is proposed; an approval publishes its action in the same transaction."""
        approval = read(Approval, body.raw, max_bytes=_MAX_BODY)
        by = decided_by(caller, approval.approved_by)
        verdict = await run_in_threadpool(_decide, services, approval, by)
        return _answer(verdict, by)

    return routes


def decided_by(caller: Caller, claim: str | None) -> str:
    """Who acted is the caller; another name in the body is kept beside it as what it is, a claim."""
    return caller.name if claim in {None, caller.name} else f"{caller.name} (claims: {claim})"


def _decide(services: Services, approval: Approval, by: str) -> Verdict:
    verdict = verdicts.decide(
        services.database,
        approval.candidate_id,
        approval.decision,
        by,
        approval.note,
        approval.generation,
        services.routes,
    )
    if verdict.outcome in {"approved", "rejected"}:
        metrics.APPROVALS.labels(approval.decision).inc()
        log.info("verdict", candidate=verdict.candidate_id, decision=approval.decision, event=verdict.event_id)
    if verdict.event_id is not None:
        metrics.PUBLISHED.labels("recovery_candidate", metrics.event_type_label(verdict.event_type)).inc()
        services.wake()
    return verdict


def _answer(verdict: Verdict, by: str) -> Decided | JSONResponse:
    if verdict.decision is None or verdict.evaluated_generation is None:
        raise Refusal(404, "not_found", "there is no such candidate")
    standing = Standing(
        candidate_id=verdict.candidate_id,
        decision=verdict.decision,
        execution_status=verdict.execution_status,
        evaluated_generation=verdict.evaluated_generation,
    )
    if (why := why_not(verdict.outcome)) is not None:
        return JSONResponse(Conflict(error=verdict.outcome, message=why, candidate=standing).model_dump(), 409)
    return Decided(**standing.model_dump(), decided_by=by, event_id=verdict.event_id)
