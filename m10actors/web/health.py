"""Is it alive, is it ready, and the figures: for probes and scrapers, which need no token."""

from enum import StrEnum

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from pydantic import BaseModel

from m10actors import metrics
from m10actors.actor_metrics import ActorMetrics
from m10actors.destination_metrics import DestinationMetrics
from m10actors.recovery.dependency import Condition
from m10actors.recovery.pauses import Part
from m10actors.supervision import ChildState, Phase
from m10actors.web.services import Services


class ReadyStatus(StrEnum):
    """`degraded`: ready, without its fast path."""

    READY = "ready"
    DEGRADED = "degraded"
    NOT_READY = "not_ready"


class Alive(BaseModel):
    """The process answers."""

    status: str = "alive"


class Readiness(BaseModel):
    """Whether requests should be sent here, and what speaks against it. What is `paused` speaks against nothing."""

    status: ReadyStatus
    reasons: list[str]
    paused: tuple[Part, ...] = ()


def health_routes(services: Services) -> APIRouter:
    """`GET /healthz` and `GET /readyz`. They look at what the process knows and ask nobody."""
    routes = APIRouter(tags=["health"])

    @routes.get("/healthz")
    async def healthz() -> Alive:
        """Alive."""
        return Alive()

    @routes.get("/readyz", response_model=Readiness, responses={503: {"model": Readiness}})
    async def readyz() -> JSONResponse:
        """Ready: the tree is up, nothing is being drained, PostgreSQL can be reached."""
        found = readiness(
            services.snapshot(),
            draining=services.draining.is_set(),
            postgres=services.postgres.health.condition,
            redis=services.redis.health.condition,
        )
        found.paused = tuple(pause.part for pause in services.pauses.now)
        return JSONResponse(found.model_dump(), 503 if found.status is ReadyStatus.NOT_READY else 200)

    return routes


def metrics_routes(services: Services) -> APIRouter:
    """`GET /metrics`. A scrape asks no store: the metrics collector samples them."""
    routes = APIRouter(tags=["health"])
    registry = CollectorRegistry()
    registry.register(metrics.REGISTRY)
    registry.register(ActorMetrics(services.snapshot, services.pauses))
    registry.register(DestinationMetrics(services.destinations))

    @routes.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
    async def exposition(request: Request) -> Response:
        """The figures, in the format that is asked for."""
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(registry), headers={"content-type": content_type})

    return routes


def readiness(tree: ChildState | None, *, draining: bool, postgres: Condition, redis: Condition) -> Readiness:
    """The verdict on what is known. Reasons name conditions only: no address, no error text."""
    against = []
    if tree is None or tree.phase is not Phase.RUNNING:
        against.append("the tree is not up")
    if draining:
        against.append("the process is being drained")
    if postgres is not Condition.UP:
        against.append(f"PostgreSQL is {postgres}")
    if against:
        return Readiness(status=ReadyStatus.NOT_READY, reasons=against)
    if redis is not Condition.UP:
        return Readiness(status=ReadyStatus.DEGRADED, reasons=[f"Redis is {redis}: work goes through PostgreSQL"])
    return Readiness(status=ReadyStatus.READY, reasons=[])
