"""What operators see and do: status, tree, pauses, drain. Not part of the API, and on listeners of its own."""

from contextlib import suppress
from typing import Annotated, Final

from fastapi import APIRouter, Depends
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel

from m10actors import logs
from m10actors.postgres import controls
from m10actors.postgres.deadlines import Operation
from m10actors.postgres.errors import StoreError
from m10actors.supervision import ChildState
from m10actors.web import status as glance
from m10actors.web.access import LOCAL, Caller, Doorkeeper
from m10actors.web.destinations import destination_routes
from m10actors.web.errors import declared, try_later
from m10actors.web.jobs import job_routes
from m10actors.web.pausing import pause_routes
from m10actors.web.services import Services
from m10actors.web.verdicts import verdict_routes

log = logs.logger(__name__)

_NOTE_SECONDS: Final = 1.0
"""A drain waits no longer for its line in the audit."""


class Drain(BaseModel):
    """The drain has begun."""

    draining: bool


def operations_routes(services: Services, door: Doorkeeper | None) -> APIRouter:
    """`/ops/…`. Without a doorkeeper whoever can connect is the local operator: for a Unix socket of mode 0600."""
    routes = APIRouter(prefix="/ops", tags=["operations"], responses=declared(401, 403, 421, 503) if door else None)
    operator = door.needs("ops") if door else _local
    Operator = Annotated[Caller, Depends(operator)]  # noqa: N806

    @routes.get("/status")
    async def status(_: Operator) -> glance.Status:
        """The process at a glance."""
        return await run_in_threadpool(glance.status, services)

    @routes.get("/tree", responses=declared(503))
    async def tree(_: Operator) -> ChildState:
        """The supervision tree, from the root down."""
        snapshot = services.snapshot()
        if snapshot is None:
            raise try_later(503, "starting", "the tree is not up yet")
        return snapshot

    @routes.post("/drain", status_code=202)
    async def drain(caller: Operator) -> Drain:
        """Ends the process: what is in hand is finished or handed back. Answers at once; again changes nothing."""
        log.warning("drain_requested", by=caller.name)
        await run_in_threadpool(_note_drain, services, caller.name)
        services.drain()
        return Drain(draining=True)

    routes.include_router(pause_routes(services, operator))
    routes.include_router(destination_routes(services, operator))
    routes.include_router(verdict_routes(services, operator))
    routes.include_router(job_routes(services, operator))
    return routes


def _note_drain(services: Services, by: str) -> None:
    with suppress(StoreError), Operation("the note of a drain", _NOTE_SECONDS):
        controls.note_drain(services.operations_database, services.worker, by)


async def _local() -> Caller:
    return LOCAL
