"""Verdicts that were written elsewhere, by the command, become known to this process."""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from m10actors import metrics
from m10actors.web.access import Caller
from m10actors.web.bodies import JSON, Body, Inflow, body_of
from m10actors.web.errors import declared
from m10actors.web.schemas import accepts
from m10actors.web.services import Services
from m10actors.web.validation import read

_MAX_BODY = 64 * 1024
_Count = Annotated[int, Field(ge=0, le=10_000)]


class Written(BaseModel):
    """How many verdicts of each kind were written, and the types of the events that they published."""

    model_config = ConfigDict(strict=True, extra="forbid")

    approved: _Count = 0
    rejected: _Count = 0
    events: Annotated[list[Annotated[str, Field(max_length=200)]], Field(max_length=10_000)] = []


class Told(BaseModel):
    """Whether there are events, for which the leader was woken."""

    woken: bool


def verdict_routes(services: Services, operator: Callable[..., Awaitable[Caller]]) -> APIRouter:
    """`/verdicts`, for an `operator`."""
    routes = APIRouter()
    ABody = Annotated[Body, Depends(body_of(Inflow(64 * _MAX_BODY), _MAX_BODY, JSON))]  # noqa: N806

    @routes.post(
        "/verdicts",
        dependencies=[Depends(operator)],
        responses=declared(400, 408, 413, 415, 422, 429),
        openapi_extra=accepts({JSON: Written.model_json_schema()}),
    )
    async def written(body: ABody) -> Told:
        """Counts verdicts that were written past this process, and wakes the leader for their events."""
        found = read(Written, body.raw, max_bytes=_MAX_BODY)
        metrics.APPROVALS.labels("approved").inc(found.approved)
        metrics.APPROVALS.labels("rejected").inc(found.rejected)
        for event_type in found.events:
            metrics.PUBLISHED.labels("recovery_candidate", metrics.event_type_label(event_type)).inc()
        if found.events:
            services.wake()
        return Told(woken=bool(found.events))

    return routes
