"""`m10 migrate`, on fresh databases of a real server."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from cli_kit import M10
from psycopg import sql

from m10actors.embedded import EmbeddedServers
from m10actors.postgres.migrate import create_database, migrations
from m10actors.shipped import shipped
from m10actors.testing.database import MigratedDatabase

ALL = [migration.name for migration in migrations(shipped("schema"))]
NAME = "m10_test_cli_migrate"


@pytest.fixture
def m10(tmp_path: Path) -> M10:
    return M10(tmp_path)


@pytest.fixture
def fresh(servers: EmbeddedServers) -> Iterator[str]:
    """The superuser's URL of an empty database."""
    addresses = servers.start()
    create_database(addresses.postgres_superuser_url, NAME)
    yield addresses.postgres_url("postgres", NAME)
    with psycopg.connect(addresses.postgres_superuser_url, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(NAME)))


def test_an_empty_database_gets_the_schema_and_a_second_time_nothing(m10: M10, fresh: str) -> None:
    before = m10("migrate", "--status", "--url", fresh)
    assert before.returncode == 1
    assert before.stdout.decode().splitlines()[1] == f"{ALL[0]}\t-"
    first = m10("migrate", M10_MIGRATE_DATABASE_URL=fresh)
    assert (first.returncode, first.stdout.decode().split()[1::2]) == (0, ALL), first.stderr
    assert m10("migrate", DATABASE_URL=fresh).stdout == b"nothing to do: the schema is up to date\n"
    after = m10("migrate", "--status", "--json", "--url", fresh)
    assert after.returncode == 0
    listed = json.loads(after.stdout)
    assert [entry["name"] for entry in listed] == ALL
    assert all(entry["applied_at"].endswith("+00:00") for entry in listed)


def test_two_at_once_apply_each_migration_once(m10: M10, fresh: str) -> None:
    with ThreadPoolExecutor(2) as threads:
        results = list(threads.map(lambda _: m10("migrate", "--json", "--url", fresh), range(2)))
    assert [result.returncode for result in results] == [0, 0], results
    assert sorted(name for result in results for name in json.loads(result.stdout)["applied"]) == ALL


def test_a_role_without_the_right_is_told_what_to_do(m10: M10, database: MigratedDatabase, fresh: str) -> None:
    as_app = database.addresses.postgres_url("m10_app", NAME)
    result = m10("migrate", "--url", as_app)
    assert (result.returncode, result.stdout) == (2, b"")
    assert b"m10 migrate --print-sql roles" in result.stderr
    assert m10("migrate", "--status", "--url", fresh).returncode == 1, "nothing was applied"


def test_the_sql_is_printed_without_a_database(m10: M10) -> None:
    roles = m10("migrate", "--print-sql", "roles").stdout.decode()
    assert "CREATE ROLE" in roles
    assert "CREATE TABLE" not in roles
    whole = m10("migrate", "--print-sql", "all").stdout.decode()
    assert all(f"-- {name}\n" in whole for name in ALL)
    assert roles in whole


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ((), 2, b"M10_MIGRATE_DATABASE_URL"),
        (("--url", "postgres//u:s3cret@h/d"), 2, b"database.migrate_url: expected an address"),
        (("--url", "postgresql://u:s3cret@127.0.0.1:1/x"), 69, b"PostgreSQL is unavailable"),
        (("--print-sql", "tables"), 2, b"--print-sql"),
        (("--print-sql", "all", "--status"), 2, b"exclude one another"),
    ],
)
def test_wrong_usage_and_absent_servers_are_told(m10: M10, arguments: tuple[str, ...], code: int, words: bytes) -> None:
    result = m10("migrate", *arguments)
    assert (result.returncode, result.stdout) == (code, b"")
    assert words in result.stderr
    assert b"s3cret" not in result.stderr
    assert b"Traceback" not in result.stderr
