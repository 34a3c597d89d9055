"""Operators pause and resume parts of the engine: in the whole installation, and with effect here at once."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.concurrency import run_in_threadpool
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from m10actors.postgres import controls
from m10actors.postgres.verdicts import Person
from m10actors.recovery.pauses import Part, Pause
from m10actors.web.access import Caller
from m10actors.web.bodies import JSON, Body, Inflow, body_of
from m10actors.web.errors import declared
from m10actors.web.services import Services
from m10actors.web.validation import read

_MAX_BODY = 16 * 1024
_LONGEST_SECONDS = 366 * 24 * 3600.0
_CODES = (400, 408, 413, 415, 422, 429, 503)


def _printable(text: str) -> str:
    if not text.isprintable() or text.isspace():
        raise ValueError("has characters that do not print, or nothing else than spaces")
    return text


Parts = Annotated[list[Annotated[Part, Field(strict=False)]], Field(min_length=1, max_length=len(Part))]
Name = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_printable)]
Reason = Annotated[str, Field(min_length=1, max_length=1000), AfterValidator(_printable)]


class PauseRequest(BaseModel):
    """What is to be paused and why; without `for_seconds` until it is resumed. `by`: who the sender says asks."""

    model_config = ConfigDict(strict=True, extra="forbid")

    parts: Parts
    reason: Reason
    for_seconds: Annotated[float, Field(ge=1, le=_LONGEST_SECONDS, allow_inf_nan=False)] | None = None
    by: Name | None = None


class ResumeRequest(BaseModel):
    """What is to be resumed. `by`: who the sender says asks for it."""

    model_config = ConfigDict(strict=True, extra="forbid")

    parts: Parts
    reason: Reason | None = None
    by: Name | None = None


class PauseState(BaseModel):
    """One part that is paused, until when (null: until it is resumed), by whom and why."""

    part: Part
    by: str
    reason: str | None
    since: datetime
    until: datetime | None


class PauseStates(BaseModel):
    """All that is paused."""

    paused: list[PauseState]


class Resumed(BaseModel):
    """The parts that were paused and are not any more."""

    resumed: list[Part]


def state_of(pause: Pause) -> PauseState:
    return PauseState(part=pause.part, by=pause.by, reason=pause.reason, since=pause.since, until=pause.until)


def pause_routes(services: Services, operator: Callable[..., Awaitable[Caller]]) -> APIRouter:
    """`/pauses`, `/pause` and `/resume`, each for an `operator`."""
    routes = APIRouter()
    Operator = Annotated[Caller, Depends(operator)]  # noqa: N806
    ABody = Annotated[Body, Depends(body_of(Inflow(64 * _MAX_BODY), _MAX_BODY, JSON))]  # noqa: N806

    @routes.get("/pauses")
    async def pauses(_: Operator) -> PauseStates:
        """What is paused, as this process knows it."""
        return PauseStates(paused=[state_of(pause) for pause in services.pauses.now])

    @routes.post("/pause", responses=declared(*_CODES), openapi_extra=_takes(PauseRequest))
    async def pause(caller: Operator, body: ABody) -> PauseStates:
        """Pauses parts, in every process of the installation and over restarts; of these parts, what is paused now."""
        request = read(PauseRequest, body.raw, max_bytes=_MAX_BODY)
        made = await run_in_threadpool(_pause, services, request, Person(caller.name, request.by).named)
        return PauseStates(paused=[state_of(pause) for pause in made])

    @routes.post("/resume", responses=declared(*_CODES), openapi_extra=_takes(ResumeRequest))
    async def resume(caller: Operator, body: ABody) -> Resumed:
        """Resumes parts; those that were paused."""
        request = read(ResumeRequest, body.raw, max_bytes=_MAX_BODY)
        ended = await run_in_threadpool(_resume, services, request, Person(caller.name, request.by).named)
        return Resumed(resumed=list(ended))

    return routes


def _pause(services: Services, request: PauseRequest, by: str) -> tuple[Pause, ...]:
    duration = timedelta(seconds=request.for_seconds) if request.for_seconds is not None else None
    made = controls.pause(services.operations_database, request.parts, by, request.reason, duration)
    services.look_at_pauses()
    return made


def _resume(services: Services, request: ResumeRequest, by: str) -> tuple[Part, ...]:
    ended = controls.resume(services.operations_database, request.parts, by, request.reason)
    services.look_at_pauses()
    return ended


def _takes(model: type[BaseModel]) -> dict[str, object]:
    return {"requestBody": {"required": True, "content": {JSON: {"schema": model.model_json_schema()}}}}
