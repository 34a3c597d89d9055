"""Ways for a store to be away: refused, frozen, swallowed by the network. Each ends without a trace."""

import logging
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from pipeline_kit import World

from m10actors.embedded import EmbeddedServers
from m10actors.embedded.process import find_processes
from m10actors.testing.proxy import FaultProxy


@contextmanager
def frozen(servers: EmbeddedServers, store: str) -> Iterator[None]:
    """Every process of the server stopped, as SIGSTOP or a virtual machine that moves does it."""
    server = servers.postgres if store == "postgres" else servers.valkey
    processes = find_processes(server.program, server.folder)
    for process in processes:
        process.signal(signal.SIGSTOP)
    try:
        yield
    finally:
        for process in processes:
            process.signal(signal.SIGCONT)


@contextmanager
def refused(proxy: FaultProxy) -> Iterator[None]:
    proxy.refuse()
    proxy.cut()
    try:
        yield
    finally:
        proxy.clean()


@contextmanager
def swallowed(proxy: FaultProxy) -> Iterator[None]:
    proxy.dark()
    try:
        yield
    finally:
        proxy.clean()


class Proxies:
    """One before each store, and the settings that lead through them."""

    def __init__(self, world: World, postgres: FaultProxy, redis: FaultProxy) -> None:
        self.world = world
        self.postgres = postgres
        self.redis = redis

    def url(self, role: str) -> str:
        host, port = self.postgres.address  # type: ignore[misc]
        return f"postgresql://m10_{role}@{host}:{port}/{self.world.database.name}"

    @property
    def settings(self) -> dict[str, Any]:
        host, port = self.redis.address  # type: ignore[misc]
        roles = {"url": "app", "ops_url": "ops", "metrics_url": "metrics"}
        return {f"database__{key}": self.url(role) for key, role in roles.items()} | {
            "redis__url": f"redis://{host}:{port}/0"
        }


@contextmanager
def proxied(world: World) -> Iterator[Proxies]:
    addresses = world.servers.start()
    with (
        FaultProxy(addresses.socket_dir / ".s.PGSQL.5432") as postgres,
        FaultProxy(addresses.valkey_socket) as valkey,
    ):
        yield Proxies(world, postgres, valkey)


OUTAGES: dict[str, Callable[[Proxies, str], Any]] = {
    "refused": lambda proxies, store: refused(getattr(proxies, store)),
    "black hole": lambda proxies, store: swallowed(getattr(proxies, store)),
    "frozen": lambda proxies, store: frozen(proxies.world.servers, store),
}


def lines_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What an operator would have read at the level info since the log was cleared."""
    return [
        record.getMessage()
        for record in caplog.records
        if record.levelno >= (logging.INFO if record.name.startswith("m10actors") else logging.WARNING)
    ]
