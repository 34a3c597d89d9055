"""The pytest plugin, real servers for tests: `pytest_plugins = ["m10actors.testing.plugin"]` in a conftest.

A test that uses one of the fixtures has a marker for it: `redis`, `postgres`, and `servers` where it may stop them.
`m10actors.testing.stores` says how to run them on other servers.
"""

import itertools
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg
import pytest
import redis
from psycopg import sql

from m10actors.embedded import Addresses, EmbeddedServers
from m10actors.postgres.migrate import create_database, migrate, migrations
from m10actors.shipped import shipped
from m10actors.testing.database import MigratedDatabase
from m10actors.testing.stores import Chosen, Postgres

TEMPLATE = "m10_template"
_MEMORY = Path("/dev/shm")
_MARKERS = {"redis": {"redis_url"}, "postgres": {"database", "migrated_template"}, "servers": {"servers"}}
_numbers = itertools.count(1)


def pytest_configure(config: pytest.Config) -> None:
    for name, uses in _MARKERS.items():
        config.addinivalue_line("markers", f"{name}: uses {' or '.join(sorted(uses))}")


@pytest.hookimpl(tryfirst=True)  # before `-m` selects
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for name, uses in _MARKERS.items():
            if isinstance(item, pytest.Function) and uses & set(item.fixturenames):
                item.add_marker(name)


@pytest.fixture(scope="session")
def servers() -> Iterator[EmbeddedServers]:
    """Both servers, started once per session (of each worker of pytest-xdist)."""
    with temporary_servers() as embedded:
        yield embedded


@pytest.fixture
def redis_url(request: pytest.FixtureRequest) -> str:
    """The URL of an empty Redis database; a server that an earlier test killed is up again."""
    url = Chosen.of().redis_url or _started(request).redis_url
    with redis.Redis.from_url(url) as client:
        client.flushall()
    return url


@pytest.fixture(scope="session")
def migrated_template(request: pytest.FixtureRequest) -> str:
    """The name of a database that has every migration and nothing else; to be copied, never to be connected to."""
    addresses = _postgres(request)
    create_database(addresses.postgres_superuser_url, TEMPLATE)
    migrate(addresses.postgres_url("postgres", TEMPLATE), shipped("schema"))
    return TEMPLATE


@pytest.fixture
def database(request: pytest.FixtureRequest, migrated_template: str) -> Iterator[MigratedDatabase]:
    """A migrated database of the test's own, dropped after it; a server that an earlier test killed is up again."""
    addresses = _postgres(request)
    name = f"m10_test_{next(_numbers)}"
    _execute(addresses.postgres_superuser_url, "CREATE DATABASE {} TEMPLATE {}", name, migrated_template)
    try:
        with ExitStack() as undo:
            copied = MigratedDatabase(addresses, name, undo)
            _give_role_settings(copied)
            yield copied
    finally:
        _postgres(request)
        _execute(addresses.postgres_superuser_url, "DROP DATABASE {} WITH (FORCE)", name)


@contextmanager
def temporary_servers() -> Iterator[EmbeddedServers]:
    """Both servers, started, in a short temporary folder: in memory where there is room, since a database for each test
    takes 10 ms there and up to 300 ms on a disk.
    """
    folder = Path(tempfile.mkdtemp(prefix="m10-", dir=_MEMORY if _has_room(_MEMORY) else None))
    embedded = EmbeddedServers(folder, fsync=False, programs=Chosen.of().programs)
    try:
        embedded.start()
        yield embedded
    finally:
        embedded.stop()
        shutil.rmtree(folder)


def _started(request: pytest.FixtureRequest) -> Addresses:
    servers: EmbeddedServers = request.getfixturevalue("servers")
    return servers.start()


def _postgres(request: pytest.FixtureRequest) -> Postgres:
    return Chosen.of().postgres or _started(request)


def _has_room(folder: Path) -> bool:
    return os.access(folder, os.W_OK) and shutil.disk_usage(folder).free > 2 * 1024**3


def _give_role_settings(copied: MigratedDatabase) -> None:
    """What `ALTER ROLE … IN DATABASE` sets is not copied; the first migration does what is missing."""
    with psycopg.connect(copied.url("superuser"), autocommit=True) as connection:
        connection.execute(migrations(shipped("schema"))[0].text.encode())


def _execute(url: str, statement: str, *names: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))
