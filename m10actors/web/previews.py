"""What an evaluation would decide, without one."""

from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, ConfigDict, Field

from m10actors.dry_run import DryRun, dry_run
from m10actors.recovery.decoding import decode
from m10actors.recovery.failure import Failure, parse
from m10actors.recovery.gates import Reason
from m10actors.web.access import Caller, Doorkeeper
from m10actors.web.bodies import JSON, Body, Inflow, body_of
from m10actors.web.errors import Refusal, declared
from m10actors.web.schemas import FAILURE, accepts
from m10actors.web.services import Services
from m10actors.web.validation import checked


class OfCandidate(BaseModel):
    """The candidate to decide on as it stands, whether an evaluation is due or not."""

    model_config = ConfigDict(strict=True, extra="forbid")

    candidate_id: Annotated[int, Field(ge=1, le=2**63 - 1)]


class MatchedRule(BaseModel):
    """A rule that matched, what it proposes, and what it saw."""

    rule: str
    action: str
    score: float
    adjustment: float
    because: str


class Preview(BaseModel):
    """The decision that would be made. `candidate_id` is null where the failure would open a candidate;
    `occurrence_count` is the count that the decision goes by. `execute`: it would be carried out by itself; `reason` is
    why, or what stops it.
    """

    candidate_id: int | None
    error_code: str
    occurrence_count: int
    action: str | None
    total: float
    confidence: float
    execute: bool
    reason: Reason
    suggestion: str
    rules: list[MatchedRule]


_SUBJECT = {"anyOf": [OfCandidate.model_json_schema(), FAILURE]}


def preview_routes(services: Services, door: Doorkeeper) -> APIRouter:
    """`POST /evaluate`."""
    routes = APIRouter(tags=["reading"])
    limit = services.limits.max_body
    ReadToken = Annotated[Caller, Depends(door.needs("recovery:read"))]  # noqa: N806
    ABody = Annotated[Body, Depends(body_of(Inflow(services.limits.max_in_flight_bytes), limit, JSON))]  # noqa: N806

    @routes.post(
        "/evaluate",
        responses=declared(400, 401, 403, 404, 408, 413, 415, 421, 422, 429, 503),
        openapi_extra=accepts({JSON: _SUBJECT}),
    )
    async def evaluate(_: ReadToken, body: ABody) -> Preview:
        """A dry run: what would be decided on a candidate, or on one more failure. Nothing is written."""
        subject = _subject(decode(body.raw, max_bytes=limit))
        found = await run_in_threadpool(dry_run, services.database, services.policy(), subject, services.ruleset())
        if found is None:
            raise Refusal(404, "not_found", "there is no such candidate")
        return _preview(found)

    return routes


def _subject(value: object) -> int | Failure:
    if isinstance(value, dict) and "candidate_id" in value:
        return checked(OfCandidate, value).candidate_id
    return parse(value)


def _preview(found: DryRun) -> Preview:
    decision = found.decision
    return Preview(
        candidate_id=found.candidate.id if found.known else None,
        error_code=found.candidate.error_code,
        occurrence_count=found.candidate.occurrence_count,
        action=decision.action,
        total=decision.total,
        confidence=decision.confidence,
        execute=decision.execute,
        reason=decision.reason,
        suggestion=decision.suggestion,
        rules=[MatchedRule.model_validate(rule) for rule in decision.rules_evaluated()],
    )
