"""What the tests of the web share: the real applications on the real servers, reached through real sockets."""

import http.client
import json
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
from supervisor_kit import root

from m10actors.actors.http_endpoint import HttpEndpoint
from m10actors.embedded import EmbeddedServers
from m10actors.embedded.servers import Addresses
from m10actors.hints import Hints
from m10actors.ingest import Ingest
from m10actors.postgres import tokens
from m10actors.postgres.errors import StoreUnavailable
from m10actors.postgres.migrate import migrate
from m10actors.postgres.pool import Database
from m10actors.recovery.dependency import Dependency
from m10actors.recovery.pauses import Pauses
from m10actors.shipped import shipped
from m10actors.streams import RedisClient, StreamNames, StreamProducer
from m10actors.supervision import ChildSpec, ChildState
from m10actors.supervisor import Tree, start_tree
from m10actors.testing.waiting import eventually
from m10actors.web.apps import api_app, metrics_app, operations_app
from m10actors.web.server import HttpServer, Listener
from m10actors.web.services import Services
from m10actors.web.sockets import Tcp, Unix

PREFIX = "/api/v1/recovery"
LOOPBACK = Tcp("127.0.0.1", 0)
PATIENCE = 20.0
ROUTES = {"retry_exponential": {"event": "webhook:recovery", "destination": "there", "template": {}}}


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    raw: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.raw)


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=PATIENCE)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(PATIENCE)
        self.sock.connect(self._path)


def connect(address: str) -> http.client.HTTPConnection:
    """A connection to `host:port` or `unix:PATH`."""
    if address.startswith("unix:"):
        return _UnixConnection(address.removeprefix("unix:"))
    return http.client.HTTPConnection(address, timeout=PATIENCE)


def call(address: str, method: str, path: str, body: object = None, **headers: str) -> Answer:
    """One request on a connection of its own. Bytes are sent as they are, anything else as JSON."""
    raw = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    if raw is not None:
        given.setdefault("content-type", "application/json")
    connection = connect(address)
    try:
        connection.request(method, path, raw, given)
        response = connection.getresponse()
        return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
    finally:
        connection.close()


def converse(address: str, raw: bytes) -> bytes:
    """Sends bytes over TCP and returns all that comes back until the other side closes."""
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), PATIENCE) as wire:
        wire.sendall(raw)
        received = bytearray()
        while chunk := wire.recv(65_536):
            received += chunk
        return bytes(received)


@dataclass
class Site:
    """A running endpoint. `token` has the text of one token for each scope, `addresses` those of the listeners."""

    services: Services
    ops_database: Database
    token: dict[str, str]
    addresses: dict[str, str] = field(default_factory=dict)
    tree: Tree | None = None
    drains: list[str] = field(default_factory=list)
    wakes: list[str] = field(default_factory=list)
    url: str = ""

    def api(self, method: str, path: str, body: object = None, scope: str | None = None, **headers: str) -> Answer:
        """A request to the API with the token of a scope, or with none."""
        if scope is not None:
            headers.setdefault("authorization", f"Bearer {self.token[scope]}")
        return call(self.addresses["api"], method, path, body, **headers)

    def ingest(self, body: object, **headers: str) -> Answer:
        return self.api("POST", f"{PREFIX}/ingest", body, "recovery:write", **headers)

    def ingest_batch(self, body: object, **headers: str) -> Answer:
        return self.api("POST", f"{PREFIX}/ingest/batch", body, "recovery:write", **headers)

    def approve(self, body: object) -> Answer:
        return self.api("POST", f"{PREFIX}/approve", body, "recovery:approve")

    def counts(self, candidate_id: int) -> int:
        """The occurrences of a candidate, by the database."""
        query = "SELECT occurrence_count FROM public.recovery_candidates WHERE id = %s"
        return int(self.sql(query, [candidate_id])[0][0])

    def sql(self, query: str, parameters: object = ()) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.url, autocommit=True) as connection:
            cursor = connection.execute(query, parameters)  # type: ignore[arg-type]
            return cursor.fetchall() if cursor.description else []


def make_database(addresses: Addresses, name: str) -> str:
    """A new, migrated database; its URL as the superuser."""
    with psycopg.connect(addresses.postgres_superuser_url, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")  # type: ignore[arg-type]
        connection.execute(f"CREATE DATABASE {name}")  # type: ignore[arg-type]
    url = addresses.postgres_url("postgres", name)
    migrate(url, shipped("schema"))
    return url


@contextmanager
def open_site(addresses: Addresses, name: str, *, patience: float = 1.0, **changed: Any) -> Iterator[Site]:
    """Services on a database of their own; nothing listens yet. `patience`: seconds until PostgreSQL counts as away.
    `changed` replaces fields of Services.
    """
    url = make_database(addresses, name)
    with ExitStack() as stack:
        app, ops, measure = (
            stack.enter_context(
                Database(
                    addresses.postgres_url(f"m10_{role}", name),
                    name=role,
                    size=8,
                    acquire_timeout=timedelta(seconds=patience),
                )
            )
            for role in ("app", "ops", "metrics")
        )
        redis = RedisClient(addresses.redis_url, timeout=timedelta(seconds=2))
        stack.callback(redis.close)
        dependencies = Dependency("postgres"), Dependency("redis")
        for dependency in dependencies:
            dependency.observe(None, 0.0)
        hints = Hints(StreamProducer(redis, StreamNames()), app, dependencies[1], 100_000)
        services = Services(
            version="1.2.3",
            worker="host:1:abcdef01",
            ingest=Ingest(app, hints),
            database=app,
            metrics_database=measure,
            postgres=dependencies[0],
            redis=dependencies[1],
            current_routes=lambda: ROUTES,
            snapshot=lambda: None,
            draining=threading.Event(),
            drain=lambda: None,
            wake=lambda: None,
            operations_database=ops,
            pauses=Pauses(),
            look_at_pauses=lambda: None,
        )
        made = {scope: tokens.create(ops, f"test {scope}", [scope]) for scope in tokens.SCOPES}
        site = Site(services, ops, made, url=url)
        site.services = replace(
            services,
            snapshot=lambda: _snapshot(site),
            drain=lambda: site.drains.append("drain"),
            wake=lambda: site.wakes.append("wake"),
            **changed,
        )
        yield site


@contextmanager
def listening(site: Site, *listeners: Listener, shutdown: float = 5.0, poll: float = 5.0) -> Iterator[Site]:
    """The site with its endpoint as the one child of a tree; afterwards no thread is left."""

    def heard(addresses: Mapping[str, str]) -> None:
        site.addresses.update(addresses)

    child = ChildSpec(
        "http_endpoint",
        start=lambda link: HttpEndpoint.start(
            link,
            lambda: [HttpServer(listener) for listener in listeners],
            heard,
            timedelta(seconds=poll),
            timedelta(seconds=shutdown),
        ),
        shutdown=shutdown,
    )
    before = set(threading.enumerate())
    tree = start_tree(root(child))
    try:
        site.tree = tree
        yield site
    finally:
        tree.stop(deadline=PATIENCE)
        eventually(lambda: set(threading.enumerate()) <= before)


def all_listeners(services: Services, folder: Path, **options: Any) -> list[Listener]:
    """API, operations by socket and by TCP, and metrics."""
    return [
        Listener("api", LOOPBACK, api_app(services), **options),
        Listener("ops", Unix(folder / "ops.sock"), operations_app(services, local=True), **options),
        Listener("ops_tcp", LOOPBACK, operations_app(services, local=False), **options),
        Listener("metrics", LOOPBACK, metrics_app(services), **options),
    ]


def failure(message: str = "connection reset by peer", code: str = "TIMEOUT", **envelope: object) -> dict[str, object]:
    """A body of ingest."""
    return {"failure_payload": {"error_type": code, "raw": message}, "source": "test", **envelope}


@contextmanager
def without_postgres(servers: EmbeddedServers, site: Site) -> Iterator[None]:
    """PostgreSQL is stopped, and afterwards every pool has found it again."""
    servers.postgres.stop("immediate")
    try:
        yield
    finally:
        servers.postgres.start()
        for database in (site.services.database, site.ops_database, site.services.metrics_database):
            eventually(lambda asked=database: _answers(asked))


def _answers(database: Database) -> bool:
    try:
        return bool(database.rows("my_rights"))
    except StoreUnavailable:
        return False


def _snapshot(site: Site) -> ChildState | None:
    return site.tree.snapshot() if site.tree is not None else None
