"""The applications, one for each kind of listener."""

from fastapi import APIRouter, FastAPI
from starlette.types import ASGIApp

from m10actors.web.access import Doorkeeper
from m10actors.web.adapters import adapter_routes
from m10actors.web.approval import approval_routes
from m10actors.web.errors import Refusal, add_error_handlers
from m10actors.web.explaining import explaining_routes
from m10actors.web.health import health_routes, metrics_routes
from m10actors.web.hosts import HostGuard
from m10actors.web.ingest import ingest_routes
from m10actors.web.operations import operations_routes
from m10actors.web.previews import preview_routes
from m10actors.web.reading import reading_routes
from m10actors.web.results import result_routes
from m10actors.web.services import Services

API_PREFIX = "/api/v1/recovery"
ADAPTERS_PREFIX = "/api/v1/adapters"
_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]


def api_app(services: Services, *, with_metrics: bool = True) -> ASGIApp:
    """The API with health and, unless they have a listener of their own, the metrics."""
    app = _app(services, "m10 API")
    door = Doorkeeper(services)
    app.include_router(ingest_routes(services, door), prefix=API_PREFIX)
    app.include_router(approval_routes(services, door), prefix=API_PREFIX)
    app.include_router(result_routes(services, door), prefix=API_PREFIX)
    app.include_router(reading_routes(services, door), prefix=API_PREFIX)
    app.include_router(explaining_routes(services, door), prefix=API_PREFIX)
    app.include_router(preview_routes(services, door), prefix=API_PREFIX)
    app.include_router(adapter_routes(services, door), prefix=ADAPTERS_PREFIX)
    app.include_router(health_routes(services))
    if with_metrics:
        app.include_router(metrics_routes(services))
    else:
        app.include_router(_elsewhere("/metrics", "metrics have a listener of their own here: see M10_METRICS_LISTEN"))
    app.include_router(
        _elsewhere("/ops/{path:path}", "this is the API; operations have a listener: see M10_OPS_LISTEN")
    )
    return HostGuard(app, services.allowed_hosts)


def operations_app(services: Services, *, local: bool) -> ASGIApp:
    """Operations. `local`: no token is asked for, since only this user reaches the listener."""
    app = _app(services, "m10 operations")
    app.include_router(operations_routes(services, None if local else Doorkeeper(services)))
    app.include_router(health_routes(services))
    app.include_router(
        _elsewhere("/api/{path:path}", "this is operations; the API has a listener: see M10_HTTP_LISTEN")
    )
    return HostGuard(app, services.allowed_hosts)


def metrics_app(services: Services) -> ASGIApp:
    """The metrics alone."""
    app = _app(services, "m10 metrics")
    app.include_router(metrics_routes(services))
    return HostGuard(app, services.allowed_hosts)


def _app(services: Services, title: str) -> FastAPI:
    app = FastAPI(title=title, version=services.version, docs_url=None, redoc_url=None, redirect_slashes=False)
    add_error_handlers(app)
    return app


def _elsewhere(path: str, message: str) -> APIRouter:
    """Says that the path is right and the listener is not."""
    routes = APIRouter()

    @routes.api_route(path, methods=_METHODS, include_in_schema=False)
    async def elsewhere() -> None:
        raise Refusal(404, "wrong_listener", message)

    return routes
