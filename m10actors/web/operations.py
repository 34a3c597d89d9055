"""What operators see and do: status, tree, drain. Not part of the API, and on listeners of its own."""

import time
from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.concurrency import run_in_threadpool
from prometheus_client import Gauge
from pydantic import BaseModel

from m10actors import logs, metrics
from m10actors.postgres import depths
from m10actors.postgres.depths import Depths
from m10actors.postgres.errors import StoreError
from m10actors.recovery.dependency import Condition, Dependency
from m10actors.supervision import ChildState
from m10actors.web.access import LOCAL, Caller, Doorkeeper
from m10actors.web.errors import declared, try_later
from m10actors.web.services import Services

log = logs.logger(__name__)


class DependencyStatus(BaseModel):
    """One dependency; `since_seconds` ago it came into this condition (None: not yet probed)."""

    condition: Condition
    since_seconds: float | None
    reason: str


class StreamFigures(BaseModel):
    """The stream as the metrics collector last saw it."""

    length: int
    pending: int
    consumers: int
    oldest_seconds: float
    dead_letters: int


class Status(BaseModel):
    """The process at a glance. `depths` is None while PostgreSQL does not answer."""

    version: str
    worker: str
    uptime_seconds: float
    draining: bool
    dependencies: dict[str, DependencyStatus]
    depths: Depths | None
    stream: StreamFigures


class Drain(BaseModel):
    """The drain has begun."""

    draining: bool


def operations_routes(services: Services, door: Doorkeeper | None) -> APIRouter:
    """`/ops/…`. Without a doorkeeper whoever can connect is the local operator: for a Unix socket of mode 0600."""
    routes = APIRouter(prefix="/ops", tags=["operations"], responses=declared(401, 403, 421, 503) if door else None)
    Operator = Annotated[Caller, Depends(door.needs("ops") if door else _local)]  # noqa: N806

    @routes.get("/status")
    async def status(_: Operator) -> Status:
        """The process at a glance."""
        return Status(
            version=services.version,
            worker=services.worker,
            uptime_seconds=time.monotonic() - services.started_at,
            draining=services.draining.is_set(),
            dependencies={each.name: _dependency(each) for each in (services.postgres, services.redis)},
            depths=await run_in_threadpool(_depths, services),
            stream=_stream(),
        )

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
        services.drain()
        return Drain(draining=True)

    return routes


async def _local() -> Caller:
    return LOCAL


def _dependency(dependency: Dependency) -> DependencyStatus:
    health = dependency.health
    known = health.condition is not Condition.UNKNOWN
    return DependencyStatus(
        condition=health.condition,
        since_seconds=time.monotonic() - health.since if known else None,
        reason=health.reason,
    )


def _depths(services: Services) -> Depths | None:
    if services.postgres.is_down:
        return None
    try:
        return depths.depths(services.metrics_database)
    except StoreError as error:
        log.warning("depths_unavailable", error=str(error))
        return None


def _stream() -> StreamFigures:
    return StreamFigures(
        length=int(_value(metrics.STREAM_LENGTH)),
        pending=int(_value(metrics.STREAM_PENDING)),
        consumers=int(_value(metrics.STREAM_CONSUMERS)),
        oldest_seconds=_value(metrics.STREAM_OLDEST),
        dead_letters=int(_value(metrics.DEAD_LETTER_LENGTH)),
    )


def _value(gauge: Gauge) -> float:
    """What a gauge without labels shows."""
    return next(sample.value for family in gauge.collect() for sample in family.samples)
