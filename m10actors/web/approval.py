"""A person's verdict on candidates comes in."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from m10actors import logs, metrics
from m10actors.postgres import verdicts
from m10actors.postgres.verdicts import Choice, Outcome, Person, Verdict
from m10actors.testing.failpoints import failpoint
from m10actors.web.access import Caller, Doorkeeper
from m10actors.web.bodies import JSON, Body, Inflow, body_of
from m10actors.web.errors import ErrorBody, Refusal, declared
from m10actors.web.schemas import accepts
from m10actors.web.services import Services
from m10actors.web.validation import read

log = logs.logger(__name__)

_MAX_BODY = 64 * 1024
_CODES = (400, 401, 403, 408, 413, 415, 421, 422, 429, 503)


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("has characters that do not print")
    return text


Id = Annotated[int, Field(ge=1, le=2**63 - 1)]
Generation = Annotated[int, Field(ge=1, le=2**31 - 1)]


class Ruling(BaseModel):
    """What is decided, and why. `approved_by`: who the sender says has decided."""

    model_config = ConfigDict(strict=True, extra="forbid")

    decision: Literal["approved", "rejected"]
    approved_by: Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_printable)] | None = None
    note: Annotated[str, Field(max_length=4000)] | None = None


class Approval(Ruling):
    """The verdict on one candidate. `generation`: the evaluation that the person saw."""

    candidate_id: Id
    generation: Generation | None = None


class Chosen(BaseModel):
    """A candidate of a page, and the evaluation of it that the person saw."""

    model_config = ConfigDict(strict=True, extra="forbid")

    candidate_id: Id
    generation: Generation | None = None


class ApprovalOfPage(Ruling):
    """The same verdict on several candidates, each for itself."""

    candidates: Annotated[list[Chosen], Field(min_length=1, max_length=200)]


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


class Half(Standing):
    """The approval is stored as the first of two: another person has to approve too."""

    outcome: Outcome
    message: str
    decided_by: str


class Conflict(ErrorBody):
    """The verdict was not written, because the candidate is not as the person saw it or can no longer be decided."""

    candidate: Standing


class Item(BaseModel):
    """What became of the verdict on one candidate of a page, and how that stands; null where there is no such one."""

    candidate_id: int
    outcome: Outcome
    message: str
    decision: str | None
    execution_status: str | None
    evaluated_generation: int | None
    event_id: int | None


class DecidedPage(BaseModel):
    """An item for each candidate, in their order; a candidate that was named twice has one."""

    decided_by: str
    items: list[Item]


def approval_routes(services: Services, door: Doorkeeper) -> APIRouter:
    """`POST /approve` and `POST /approve/batch`."""
    routes = APIRouter(tags=["review"])
    ApproveToken = Annotated[Caller, Depends(door.needs("recovery:approve"))]  # noqa: N806
    ABody = Annotated[Body, Depends(body_of(Inflow(64 * _MAX_BODY), _MAX_BODY, JSON))]  # noqa: N806

    @routes.post(
        "/approve",
        response_model=Decided,
        responses={202: {"model": Half}, 409: {"model": Conflict}, **declared(*_CODES, 404)},
        openapi_extra=accepts({JSON: Approval.model_json_schema()}),
    )
    async def approve(caller: ApproveToken, body: ABody) -> Decided | JSONResponse:
        """Approves or rejects what is proposed; an approval publishes its action in the same transaction."""
        approval = read(Approval, body.raw, max_bytes=_MAX_BODY)
        by = Person(caller.name, approval.approved_by)
        chosen = [Choice(approval.candidate_id, approval.generation)]
        [verdict] = await run_in_threadpool(decide, services, chosen, approval, by)
        return _answer(verdict, by)

    @routes.post(
        "/approve/batch",
        responses=declared(*_CODES),
        openapi_extra=accepts({JSON: ApprovalOfPage.model_json_schema()}),
    )
    async def approve_page(caller: ApproveToken, body: ABody) -> DecidedPage:
        """The same verdict on up to 200 candidates, in one transaction, with an outcome for each."""
        approval = read(ApprovalOfPage, body.raw, max_bytes=_MAX_BODY)
        by = Person(caller.name, approval.approved_by)
        chosen = [Choice(each.candidate_id, each.generation) for each in approval.candidates]
        found = await run_in_threadpool(decide, services, chosen, approval, by)
        return DecidedPage(decided_by=by.named, items=[_item(verdict) for verdict in found])

    return routes


def decide(services: Services, chosen: list[Choice], ruling: Ruling, by: Person) -> list[Verdict]:
    """Writes the verdicts, counts them and wakes the leader."""
    found = verdicts.decide(
        services.database, chosen, ruling.decision, by, ruling.note, services.routes, services.terms()
    )
    failpoint("approve.after_commit")
    for verdict in found:
        match verdicts.standing(verdict.outcome):
            case "decided":
                metrics.APPROVALS.labels(ruling.decision).inc()
                log.info("verdict", candidate=verdict.candidate_id, decision=ruling.decision, event=verdict.event_id)
            case "half":
                log.info("first_approval", candidate=verdict.candidate_id)
            case "refused":
                pass
        if verdict.event_id is not None:
            metrics.PUBLISHED.labels("recovery_candidate", metrics.event_type_label(verdict.event_type)).inc()
    if any(verdict.event_id is not None for verdict in found):
        services.wake()
    return found


def _item(verdict: Verdict) -> Item:
    return Item(
        candidate_id=verdict.candidate_id,
        outcome=verdict.outcome,
        message=verdicts.said(verdict.outcome),
        decision=verdict.decision,
        execution_status=verdict.execution_status,
        evaluated_generation=verdict.evaluated_generation,
        event_id=verdict.event_id,
    )


def _answer(verdict: Verdict, by: Person) -> Decided | JSONResponse:
    if verdict.decision is None or verdict.evaluated_generation is None:
        raise Refusal(404, "not_found", "there is no such candidate")
    standing = Standing(
        candidate_id=verdict.candidate_id,
        decision=verdict.decision,
        execution_status=verdict.execution_status,
        evaluated_generation=verdict.evaluated_generation,
    )
    message = verdicts.said(verdict.outcome)
    match verdicts.standing(verdict.outcome):
        case "decided":
            return Decided(**standing.model_dump(), decided_by=by.named, event_id=verdict.event_id)
        case "half":
            half = Half(**standing.model_dump(), outcome=verdict.outcome, message=message, decided_by=by.named)
            return JSONResponse(half.model_dump(), 202)
        case "refused":
            conflict = Conflict(error=verdict.outcome, message=message, candidate=standing)
            return JSONResponse(conflict.model_dump(), 409)
