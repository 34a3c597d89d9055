"""Who listens where: the API, operations on a Unix socket and perhaps on TCP, metrics perhaps on an address of their
own.
"""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from m10actors.config import Loaded
from m10actors.config.addresses import TcpAddress, UnixAddress
from m10actors.web.apps import api_app, metrics_app, operations_app
from m10actors.web.server import HttpServer, Listener
from m10actors.web.services import Services
from m10actors.web.sockets import Tcp, Unix

LONGEST_SOCKET_PATH = 100
SPARE_PORTS = 20


def servers(loaded: Loaded, services: Services, run_dir: Path) -> Callable[[], Sequence[HttpServer]]:
    """Makes new servers for each start of the endpoint. A port that nobody set gives way to the next free one."""
    http = loaded.settings.http

    def place(address: TcpAddress | UnixAddress, key: str) -> Tcp | Unix:
        match address:
            case TcpAddress(host, port):
                return Tcp(host, port, SPARE_PORTS if loaded.is_default(key) else 0)
            case UnixAddress(path):
                return Unix(path or _ops_socket(run_dir, services.worker))

    def make() -> Sequence[HttpServer]:
        with_metrics = http.metrics_listen is None
        listeners = [
            Listener(
                "api",
                place(http.listen, "http.listen"),
                api_app(services, with_metrics=with_metrics),
                http.request_timeout,
            )
        ]
        for number, address in enumerate(http.ops_listen):
            name = "ops" if number == 0 else f"ops.{number}"
            local = isinstance(address, UnixAddress)
            listeners.append(
                Listener(
                    name, place(address, "http.ops_listen"), operations_app(services, local=local), http.request_timeout
                )
            )
        if http.metrics_listen is not None:
            listeners.append(
                Listener(
                    "metrics",
                    place(http.metrics_listen, "http.metrics_listen"),
                    metrics_app(services),
                    http.request_timeout,
                )
            )
        return [HttpServer(listener) for listener in listeners]

    return make


def _ops_socket(run_dir: Path, worker: str) -> Path:
    """In the run folder, one for each process; where its path would be too long, in a folder (0700) of its own."""
    path = run_dir / f"ops.{worker.rpartition(':')[2]}.sock"
    if len(str(path).encode()) <= LONGEST_SOCKET_PATH:
        return path
    return Path(tempfile.mkdtemp(prefix="m10-")) / path.name
