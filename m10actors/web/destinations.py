"""How each destination of the delivery does: what this process saw of it, and what waits for it."""

from collections.abc import Awaitable, Callable
from datetime import datetime

from fastapi import APIRouter, Depends
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel

from m10actors.delivery import Condition
from m10actors.postgres import destinations as store
from m10actors.postgres.destinations import Backlog
from m10actors.web.access import Caller
from m10actors.web.errors import declared
from m10actors.web.services import Services


class DestinationStatus(BaseModel):
    """One destination. `seen` is what this process knows of it since its start (null: it is not configured here; all
    of it is that of the leader alone, since nobody else delivers), the rest is the same for all processes.
    """

    name: str
    seen: Condition | None
    waiting: int
    oldest_seconds: float | None
    paused_because: str | None
    paused_since: datetime | None


class Destinations(BaseModel):
    """By name: those of the configuration, those for which events wait, those that are paused."""

    destinations: list[DestinationStatus]


def destination_routes(services: Services, operator: Callable[..., Awaitable[Caller]]) -> APIRouter:
    """`/destinations`, for an `operator`."""
    routes = APIRouter()

    @routes.get("/destinations", dependencies=[Depends(operator)], responses=declared(503))
    async def destinations() -> Destinations:
        """Breaker, concurrency, latency and backlog of each destination."""
        return await run_in_threadpool(_destinations, services)

    return routes


def _destinations(services: Services) -> Destinations:
    seen = {each.name: each for each in services.destinations()}
    backlogs = {each.name: each for each in store.backlogs(services.operations_database)}
    return Destinations(
        destinations=[_status(name, seen.get(name), backlogs.get(name)) for name in sorted(seen.keys() | backlogs)]
    )


def _status(name: str, seen: Condition | None, backlog: Backlog | None) -> DestinationStatus:
    there = backlog or Backlog(name, 0, None, None, None)
    return DestinationStatus(
        name=name,
        seen=seen,
        waiting=there.waiting,
        oldest_seconds=there.oldest_seconds,
        paused_because=there.paused_because,
        paused_since=there.paused_since,
    )
