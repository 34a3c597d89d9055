"""`m10 token`, on a real database."""

import json
from pathlib import Path

import pytest
from cli_kit import M10

from m10actors.cli.token import Scope
from m10actors.postgres import tokens
from m10actors.testing.database import MigratedDatabase


@pytest.fixture
def m10(tmp_path: Path) -> M10:
    return M10(tmp_path)


def test_a_token_is_printed_once_and_alone(m10: M10, database: MigratedDatabase) -> None:
    made = m10("token", "new", "ci", M10_OPS_DATABASE_URL=database.url("ops"))
    assert made.returncode == 0, made.stderr
    text = made.stdout.decode()
    assert text == f"{text.strip()}\n"
    assert tokens.find(database.pool("app"), text.strip()) == tokens.Token("ci", ("recovery:write",))
    listed = m10("token", "list", M10_OPS_DATABASE_URL=database.url("ops"))
    name, scopes, created, revoked = listed.stdout.decode().splitlines()[1].split("\t")
    assert (name, scopes, revoked) == ("ci", "recovery:write", "-")
    assert created.endswith("+00:00")
    assert text.strip().encode() not in listed.stdout + listed.stderr + made.stderr


def test_a_token_has_the_scopes_that_were_asked_for_and_can_be_ended(m10: M10, database: MigratedDatabase) -> None:
    on = ("--database", database.url("ops"), "--json")
    scopes = ("--scope", "ops", "--scope", "recovery:read", "--scope", "ops")
    made = json.loads(m10("token", "new", "op@home", *scopes, *on).stdout)
    assert (made["name"], made["scopes"]) == ("op@home", ["ops", "recovery:read"])
    assert json.loads(m10("token", "revoke", "op@home", *on).stdout) == {"name": "op@home", "revoked": True}
    assert tokens.find(database.pool("app"), made["token"]) is None
    (listed,) = json.loads(m10("token", "list", *on).stdout)
    assert listed["revoked_at"] is not None
    again = m10("token", "revoke", "op@home", *on)
    assert (again.returncode, json.loads(again.stdout)["revoked"]) == (1, False)


def test_a_name_is_taken_once(m10: M10, database: MigratedDatabase) -> None:
    on = ("--database", database.url("ops"))
    assert m10("token", "new", "ci", *on).returncode == 0
    second = m10("token", "new", "ci", *on)
    assert (second.returncode, second.stdout) == (1, b"")
    assert b"a token named 'ci' exists already" in second.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("new", ""),
        ("new", "two words"),
        ("new", "x" * 101),
        ("new", "-x"),
        ("new", "a\nb"),
        ("new", "x", "--scope", "everything"),
        ("new",),
        ("newt", "x"),
    ],
    ids=lambda value: " ".join(value)[:20],
)
def test_wrong_usage_makes_no_token(m10: M10, database: MigratedDatabase, arguments: tuple[str, ...]) -> None:
    result = m10("token", *arguments, DATABASE_URL=database.url("ops"))
    assert (result.returncode, result.stdout) == (2, b"")
    assert tokens.listed(database.pool("ops")) == []


def test_the_pipelines_own_role_may_not(m10: M10, database: MigratedDatabase) -> None:
    result = m10("token", "list", DATABASE_URL=database.url("app"))
    assert (result.returncode, result.stdout) == (2, b"")
    assert b"PostgreSQL does not permit it to this role" in result.stderr


def test_without_a_database_or_with_one_that_is_away_it_says_so(m10: M10) -> None:
    assert b"M10_OPS_DATABASE_URL" in m10("token", "list").stderr
    assert m10("token", "list").returncode == 2
    away = m10("token", "list", "--database", "postgresql://u:s3cret@127.0.0.1:1/x")
    assert (away.returncode, away.stdout) == (69, b"")
    assert b"s3cret" not in away.stderr


def test_the_scopes_are_those_of_the_store() -> None:
    assert tuple(scope.value for scope in Scope) == tokens.SCOPES
