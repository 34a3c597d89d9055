"""Who listens where: the API, operations on a Unix socket and perhaps on TCP, metrics perhaps apart."""

import tempfile
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from starlette.types import ASGIApp

from m10actors.config import Loaded
from m10actors.config.addresses import TcpAddress, UnixAddress
from m10actors.web.apps import api_app, metrics_app, operations_app
from m10actors.web.server import HttpServer, Listener
from m10actors.web.services import Services
from m10actors.web.sockets import Tcp, Unix

LONGEST_SOCKET_PATH = 100
SPARE_PORTS = 20


@dataclass(frozen=True, slots=True)
class Place:
    """A listener to be: its name, where, and the application, made anew for each start."""

    name: str
    where: Tcp | Unix
    make_app: Callable[[], ASGIApp]


def places(loaded: Loaded, services: Services, run_dir: Path, movable: Collection[str]) -> list[Place]:
    """All listeners. A port gives way to the next free one if nobody set it, or if its key is `movable`."""
    http = loaded.settings.http

    def where(address: TcpAddress | UnixAddress, key: str) -> Tcp | Unix:
        match address:
            case TcpAddress(host, port):
                return Tcp(host, port, SPARE_PORTS if loaded.is_default(key) or key in movable else 0)
            case UnixAddress(path):
                return Unix(path or _ops_socket(run_dir, services.worker))

    with_metrics = http.metrics_listen is None
    found = [Place("api", where(http.listen, "http.listen"), lambda: api_app(services, with_metrics=with_metrics))]
    for number, address in enumerate(http.ops_listen):
        make_app = partial(operations_app, services, local=isinstance(address, UnixAddress))
        found.append(Place(f"ops.{number}" if number else "ops", where(address, "http.ops_listen"), make_app))
    if http.metrics_listen is not None:
        found.append(Place("metrics", where(http.metrics_listen, "http.metrics_listen"), lambda: metrics_app(services)))
    return found


def check(found: Sequence[Place]) -> None:
    """Raises CannotListen (PortInUse) for a TCP address that cannot be had, before anything is started."""
    for place in found:
        if isinstance(place.where, Tcp):
            place.where.bind().close()


def servers(found: Sequence[Place], loaded: Loaded) -> list[HttpServer]:
    """New servers, for one start of the endpoint."""
    deadline = loaded.settings.http.request_timeout
    return [HttpServer(Listener(place.name, place.where, place.make_app(), deadline)) for place in found]


def _ops_socket(run_dir: Path, worker: str) -> Path:
    """In the run folder, one for each process; where its path would be too long, in a folder (0700) of its own."""
    path = run_dir / f"ops.{worker.rpartition(':')[2]}.sock"
    if len(str(path).encode()) <= LONGEST_SOCKET_PATH:
        return path
    return Path(tempfile.mkdtemp(prefix="m10-")) / path.name
