"""Why a candidate was decided as it was, in words."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Path
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel

from m10actors.explanations import Account, account
from m10actors.recovery.explaining import Explanation, told
from m10actors.web.access import Caller, Doorkeeper
from m10actors.web.errors import Refusal, declared
from m10actors.web.reading import Id
from m10actors.web.services import Services


class Section(BaseModel):
    """Sentences under a title."""

    title: str
    lines: list[str]


class Explained(BaseModel):
    """`then`: the last evaluation, null where there is no record of one, which `missing` says. `now`: what would be
    decided now. `differs`: it would be decided otherwise; `since`: what has changed.
    """

    candidate_id: int
    evaluated_at: datetime | None
    missing: str | None
    then: list[Section] | None
    now: list[Section]
    differs: bool
    since: list[str]


def explaining_routes(services: Services, door: Doorkeeper) -> APIRouter:
    """`GET /candidates/{id}/explanation`."""
    routes = APIRouter(tags=["reading"], responses=declared(401, 403, 404, 408, 421, 422, 429, 503))
    ReadToken = Annotated[Caller, Depends(door.needs("recovery:read"))]  # noqa: N806

    @routes.get("/candidates/{candidate_id}/explanation")
    async def explanation(_: ReadToken, candidate_id: Annotated[Id, Path()]) -> Explained:
        """Why this action, why this confidence, why not by itself, and what would change it."""
        found = await run_in_threadpool(account, services.database, services.policy(), candidate_id, services.ruleset())
        if found is None:
            raise Refusal(404, "not_found", "there is no such candidate")
        return _explained(candidate_id, found)

    return routes


def _explained(candidate_id: int, found: Account) -> Explained:
    return Explained(
        candidate_id=candidate_id,
        evaluated_at=found.decided_at,
        missing=found.missing or None,
        then=None if found.then is None else _sections(found.then),
        now=_sections(found.now),
        differs=found.differs,
        since=list(found.since),
    )


def _sections(explanation: Explanation) -> list[Section]:
    return [Section(title=title, lines=list(lines)) for title, lines in told(explanation)]
