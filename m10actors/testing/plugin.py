"""The pytest plugin, real servers for tests: `pytest_plugins = ["m10actors.testing.plugin"]` in a conftest."""

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

from m10actors.embedded import EmbeddedServers
from m10actors.postgres.migrate import create_database, migrate, migrations
from m10actors.shipped import shipped
from m10actors.testing.database import MigratedDatabase

TEMPLATE = "m10_template"
_MEMORY = Path("/dev/shm")
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def servers() -> Iterator[EmbeddedServers]:
    """Both servers, started once per session (of each worker of pytest-xdist)."""
    with temporary_servers() as embedded:
        yield embedded


@pytest.fixture
def redis_url(servers: EmbeddedServers) -> str:
    """The URL of an empty Redis database; a server that an earlier test killed is up again."""
    url = servers.start().redis_url
    with redis.Redis.from_url(url) as client:
        client.flushall()
    return url


@pytest.fixture(scope="session")
def migrated_template(servers: EmbeddedServers) -> str:
    """The name of a database that has every migration and nothing else; to be copied, never to be connected to."""
    addresses = servers.start()
    create_database(addresses.postgres_superuser_url, TEMPLATE)
    migrate(addresses.postgres_url("postgres", TEMPLATE), shipped("schema"))
    return TEMPLATE


@pytest.fixture
def database(servers: EmbeddedServers, migrated_template: str) -> Iterator[MigratedDatabase]:
    """A migrated database of the test's own, dropped after it; a server that an earlier test killed is up again."""
    addresses = servers.start()
    name = f"m10_test_{next(_numbers)}"
    _execute(addresses.postgres_superuser_url, "CREATE DATABASE {} TEMPLATE {}", name, migrated_template)
    try:
        with ExitStack() as undo:
            copied = MigratedDatabase(addresses, name, undo)
            _give_role_settings(copied)
            yield copied
    finally:
        servers.start()
        _execute(addresses.postgres_superuser_url, "DROP DATABASE {} WITH (FORCE)", name)


@contextmanager
def temporary_servers() -> Iterator[EmbeddedServers]:
    """Both servers, started, in a short temporary folder: in memory where there is room, since a database for each test
    takes 10 ms there and up to 300 ms on a disk.
    """
    folder = Path(tempfile.mkdtemp(prefix="m10-", dir=_MEMORY if _has_room(_MEMORY) else None))
    embedded = EmbeddedServers(folder, fsync=False)
    try:
        embedded.start()
        yield embedded
    finally:
        embedded.stop()
        shutil.rmtree(folder)


def _has_room(folder: Path) -> bool:
    return os.access(folder, os.W_OK) and shutil.disk_usage(folder).free > 2 * 1024**3


def _give_role_settings(copied: MigratedDatabase) -> None:
    """What `ALTER ROLE … IN DATABASE` sets is not copied; the first migration does what is missing."""
    with psycopg.connect(copied.url("superuser"), autocommit=True) as connection:
        connection.execute(migrations(shipped("schema"))[0].text.encode())


def _execute(url: str, statement: str, *names: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))
