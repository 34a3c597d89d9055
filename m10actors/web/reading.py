"""Candidates, figures and actions, for whoever may read."""

from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from fastapi.concurrency import run_in_threadpool
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

from m10actors.postgres import candidates, figures
from m10actors.postgres.candidates import (
    Candidate,
    CandidateFilter,
    DecisionWord,
    ExecutionWord,
    Order,
    StatusWord,
    Summary,
)
from m10actors.postgres.figures import ActionRecord, Stats
from m10actors.recovery.content import is_storable
from m10actors.recovery.problems import Code, InvalidFailure, Problem
from m10actors.web.access import Caller, Doorkeeper
from m10actors.web.errors import Refusal, declared
from m10actors.web.services import Services

_ERRORS = declared(401, 403, 408, 421, 422, 429, 503)


def _storable(text: str) -> str:
    if not is_storable(text):
        raise ValueError("has characters that are stored nowhere")
    return text


def _of_our_time(moment: datetime) -> datetime:
    if not datetime(2000, 1, 1, tzinfo=UTC) <= moment < datetime(2100, 1, 1, tzinfo=UTC):
        raise ValueError("is not between the years 2000 and 2100")
    return moment


Text = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_storable)]
Id = Annotated[int, Field(ge=1, le=2**63 - 1)]


class CandidateQuery(BaseModel):
    """Which candidates: all conditions that are given must hold. `status` is a decision or an execution status."""

    model_config = ConfigDict(extra="forbid")

    status: StatusWord | None = None
    decision: DecisionWord | None = None
    execution_status: ExecutionWord | None = None
    source: Text | None = None
    error_code: Text | None = None
    action: Text | None = None
    q: Text | None = None
    since: Annotated[AwareDatetime, AfterValidator(_of_our_time)] | None = None
    due: bool | None = None
    order: Order = "newest"
    after: Id | None = None
    limit: Annotated[int, Field(ge=1, le=200)] = 50
    offset: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    total: bool = False

    def wanted(self) -> CandidateFilter:
        """InvalidFailure where two of them say different things."""
        decision, execution = self.decision, self.execution_status
        if self.status is not None:
            if decision or execution:
                raise _contradiction("status", "stands for decision or execution_status; they are not given beside it")
            decision, execution = candidates.split(self.status)
        if self.after is not None and self.order == "occurrences":
            raise _contradiction("after", "goes with the orders newest and oldest only")
        return CandidateFilter(
            decision=decision,
            execution_status=execution,
            source=self.source,
            error_code=self.error_code,
            action=self.action,
            text=self.q,
            since=self.since,
            due=self.due,
            order=self.order,
            after=self.after,
        )


class CandidateList(BaseModel):
    """A page. `total` is how many match, where the query has `total=true`. `next_after`: the `after` of the next page
    of the orders newest and oldest; null where this one is the last.
    """

    items: list[Summary]
    total: int | None
    next_after: int | None


@dataclass(frozen=True, slots=True)
class RoutedAction(ActionRecord):
    """An action, and what carries it out here: no `event`, and an approval of it is refused."""

    event: str | None
    destination: str | None


class ActionList(BaseModel):
    """All actions, the one with the highest priority first."""

    items: list[RoutedAction]


def reading_routes(services: Services, door: Doorkeeper) -> APIRouter:
    """`GET /candidates`, `GET /candidates/{id}`, `GET /stats`, `GET /actions`."""
    routes = APIRouter(tags=["reading"], responses=_ERRORS)
    ReadToken = Annotated[Caller, Depends(door.needs("recovery:read"))]  # noqa: N806

    @routes.get("/candidates")
    async def listed(_: ReadToken, query: Annotated[CandidateQuery, Query()]) -> CandidateList:
        """Candidates, the newest first."""
        wanted = query.wanted()
        page = await run_in_threadpool(
            candidates.page, services.database, wanted, query.limit, query.offset, with_total=query.total
        )
        more = len(page.items) == query.limit and query.order != "occurrences"
        return CandidateList(items=list(page.items), total=page.total, next_after=page.items[-1].id if more else None)

    @routes.get("/candidates/{candidate_id}", responses=declared(404))
    async def one(_: ReadToken, candidate_id: Annotated[Id, Path()]) -> Candidate:
        """All about one candidate: of what there may be many of, the newest."""
        found = await run_in_threadpool(candidates.one, services.database, candidate_id)
        if found is None:
            raise Refusal(404, "not_found", "there is no such candidate")
        return found

    @routes.get("/stats")
    async def stats(_: ReadToken) -> Stats:
        """Counts of candidates, and the age of the oldest of what waits."""
        return await run_in_threadpool(figures.stats, services.database)

    @routes.get("/actions")
    async def actions(_: ReadToken) -> ActionList:
        """What may be done about failures, and what came of it."""
        known = await run_in_threadpool(figures.actions, services.database)
        return ActionList(items=[_routed(action, services) for action in known])

    return routes


def _contradiction(field: str, message: str) -> InvalidFailure:
    return InvalidFailure(Problem(Code.OUT_OF_RANGE, field, message))


def _routed(action: ActionRecord, services: Services) -> RoutedAction:
    route = services.routes.get(action.code, {})
    event, destination = (_text(route.get(name)) for name in ("event", "destination"))
    return RoutedAction(
        **{field.name: getattr(action, field.name) for field in fields(action)}, event=event, destination=destination
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
