"""The pool: outages, contention, bad data, and what is left behind."""

import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from schema_kit import Lab, failure, in_background

from m10actors.embedded import EmbeddedServers
from m10actors.postgres import failures, locks, tokens
from m10actors.postgres.deadlines import BoundedConnection
from m10actors.postgres.errors import NotPermitted, StoreContention, StoreRefused, StoreUnavailable
from m10actors.postgres.migrate import migrate
from m10actors.postgres.pool import Database, query
from m10actors.postgres.prober import reachable
from m10actors.shipped import shipped
from m10actors.testing.database import MigratedDatabase
from m10actors.testing.waiting import eventually

MINUTE = timedelta(minutes=1)
ENDINGS: dict[str, Callable[[EmbeddedServers], None]] = {
    "fast": lambda servers: servers.postgres.stop("fast"),
    "immediate": lambda servers: servers.postgres.stop("immediate"),
    "kill": lambda servers: servers.postgres.kill(),
}


@pytest.fixture
def lab(database: MigratedDatabase) -> Lab:
    return Lab(database)


def answers(pool: Database) -> bool:
    try:
        return bool(pool.rows("probe"))
    except StoreUnavailable:
        return False


def impatient(url: str) -> Database:
    return Database(url, name="impatient", size=1, acquire_timeout=timedelta(seconds=0.1))


@pytest.mark.parametrize("ending", ENDINGS)
def test_an_outage_is_weather_and_over_two_seconds_after_it_ends(
    servers: EmbeddedServers, database: MigratedDatabase, ending: str
) -> None:
    pool = database.pool(size=3)
    assert answers(pool)
    ENDINGS[ending](servers)
    eventually(lambda: not answers(pool))  # after a kill the server's children serve for a moment longer
    servers.postgres.start()
    eventually(lambda: answers(pool), within=2.0)


def test_a_connection_that_was_just_heard_of_is_not_asked_whether_it_lives(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []
    real = BoundedConnection.execute

    def execute(connection: BoundedConnection, statement: Any, *given: Any, **options: Any) -> Any:
        asked.append(statement)
        return real(connection, statement, *given, **options)

    with impatient(lab.database.url()) as pool:
        assert eventually(lambda: answers(pool))
        monkeypatch.setattr(BoundedConnection, "execute", execute)
        monkeypatch.setattr("m10actors.postgres.pool._FRESH_SECONDS", 3600.0)
        assert answers(pool)
        assert asked == [query("probe")]
        monkeypatch.setattr("m10actors.postgres.pool._FRESH_SECONDS", 0.0)
        assert answers(pool)
        assert asked[1:] == ["", query("probe")]


def test_a_connection_that_the_server_has_just_ended_is_replaced(lab: Lab) -> None:
    end = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'm10:impatient'"
    with Database(lab.database.url(), name="impatient", size=1) as pool, lab.database.connect("superuser") as other:
        for _ in range(3):
            assert pool.rows("probe")
            assert other.execute(end).fetchall() == [(True,)]


def test_a_restart_between_two_calls_is_not_noticed(servers: EmbeddedServers, database: MigratedDatabase) -> None:
    pool = database.pool(size=3)
    assert answers(pool)
    servers.postgres.restart("immediate")
    assert answers(pool)


def test_a_server_that_is_not_there_at_the_start_is_weather(
    servers: EmbeddedServers, database: MigratedDatabase
) -> None:
    servers.postgres.stop()
    with impatient(database.url()) as pool:
        assert not answers(pool)
        assert isinstance(reachable(database.url()), StoreUnavailable)
        servers.postgres.start()
        eventually(lambda: answers(pool), within=2.0)


def test_a_connection_to_a_demoted_server_is_discarded(lab: Lab) -> None:
    role = f"ALTER ROLE m10_app IN DATABASE {lab.database.name}"
    lab.sql.execute(f"{role} SET default_transaction_read_only = on")
    pool = lab.database.pool(size=1)
    with pytest.raises(StoreUnavailable) as caught:
        locks.acquire(pool, "l", "me", MINUTE)
    assert caught.value.sqlstate == "25006"
    lab.sql.execute(f"{role} RESET default_transaction_read_only")
    assert eventually(lambda: locks.acquire(pool, "l", "me", MINUTE)) == 1


def test_a_deadlock_is_retried_until_it_goes_through(lab: Lab) -> None:
    lab.sql.execute(f"ALTER DATABASE {lab.database.name} SET deadlock_timeout = '20ms'")
    pool, other = lab.database.pool(), lab.database.connect("app")
    first, second = sorted(uuid4() for _ in range(2))
    failures.ingest(pool, [failure(first), failure(second)], "me")
    hold = "SELECT FROM recovery_candidates WHERE failure_match_id = %s FOR UPDATE"
    with other.transaction():
        other.execute(hold, [second])
        batch = in_background(lambda: failures.ingest(pool, [failure(first), failure(second)], "me"))
        lab.until_somebody_waits()
        other.execute(hold, [first])  # whoever waited first finds the deadlock, and gives way
    assert [answer.occurrence_count for answer in batch.result(10)] == [2, 2]


def test_contention_that_does_not_end_is_told_apart_from_weather(lab: Lab) -> None:
    lab.sql.execute(f"ALTER ROLE m10_app IN DATABASE {lab.database.name} SET lock_timeout = '5ms'")
    pool, other = lab.database.pool(), lab.database.connect("owner")
    match_id = uuid4()
    failures.ingest(pool, [failure(match_id)], "me")
    with other.transaction():
        other.execute("SELECT FROM recovery_candidates FOR UPDATE")
        with pytest.raises(StoreContention) as caught:
            failures.ingest(pool, [failure(match_id)], "me")
    assert caught.value.sqlstate == "55P03"
    assert failures.ingest(pool, [failure(match_id)], "me")[0].occurrence_count == 2


def test_a_call_that_gets_no_connection_in_time_is_weather(lab: Lab) -> None:
    match_id = uuid4()
    failures.ingest(lab.app, [failure(match_id)], "me")
    other = lab.database.connect("app")
    with impatient(lab.database.url()) as small:
        with other.transaction():
            other.execute("SELECT FROM recovery_candidates FOR UPDATE")
            blocked = in_background(lambda: failures.ingest(small, [failure(match_id)], "me"))
            lab.until_somebody_waits()
            assert not answers(small)
        assert blocked.result(10)[0].occurrence_count == 2
        assert answers(small)


@pytest.mark.parametrize("text", ["nul\0", "half a pair \ud800"])
def test_text_that_postgresql_cannot_hold_is_refused(database: MigratedDatabase, text: str) -> None:
    pool = database.pool(size=1)
    with pytest.raises(StoreRefused):
        locks.acquire(pool, text, "me", MINUTE)
    assert answers(pool)


def test_a_role_without_the_right_is_not_permitted(database: MigratedDatabase) -> None:
    with pytest.raises(NotPermitted):
        database.pool("metrics").rows("list_tokens")


def test_no_message_and_no_log_repeats_a_value_or_a_password(lab: Lab, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    said: list[str] = []
    with pytest.raises(StoreRefused) as bad:
        lab.app.rows("configure", {"settings": '{"reopen_after": "S3CRET"}'})
    said.append(str(bad.value))
    tokens.create(ops := lab.database.pool("ops"), "S3CRET", ["ops"])
    with pytest.raises(StoreRefused) as unique:
        ops.run("create_token", {"name": "T", "hash": b"x", "scopes": ["S3CRET"]})
    said.append(str(unique.value))
    for address in ("postgres//u:S3CRET@h/db", "postgresql://u:S3CRET@h:port/db"):
        said.append(str(reachable(address)))
        with pytest.raises((StoreRefused, StoreUnavailable)) as caught:
            migrate(address, shipped("schema"))
        said.append(str(caught.value))
        with pytest.raises((StoreRefused, StoreUnavailable)) as opened, impatient(address) as pool:
            pool.rows("probe")
        said.append(str(opened.value))
    assert "S3CRET" not in "\n".join([*said, caplog.text])


def test_a_closed_pool_leaves_no_connection_behind(lab: Lab) -> None:
    with Database(lab.database.url(), name="brief", size=2) as pool:
        assert answers(pool)
        assert lab.value("SELECT count(*) > 0 FROM pg_stat_activity WHERE application_name = 'm10:brief'")
    eventually(lambda: lab.value("SELECT count(*) = 0 FROM pg_stat_activity WHERE application_name = 'm10:brief'"))
    with pytest.raises(StoreUnavailable):
        pool.rows("probe")


def test_a_token_is_found_by_its_text_until_it_is_revoked(lab: Lab) -> None:
    ops = lab.database.pool("ops")
    text = tokens.create(ops, "ann", ["recovery:read", "recovery:approve"])
    assert tokens.find(lab.app, text) == tokens.Token("ann", ("recovery:read", "recovery:approve"))
    assert tokens.find(lab.app, text + "x") is None
    with pytest.raises(StoreRefused):
        tokens.create(ops, "ann", ["ops"])
    with pytest.raises(StoreRefused):
        tokens.create(ops, "bob", ["everything"])
    assert [record.name for record in tokens.listed(ops)] == ["ann"]
    assert tokens.revoke(ops, "ann")
    assert not tokens.revoke(ops, "ann")
    assert tokens.find(lab.app, text) is None
    assert text not in str(lab.sql.execute("SELECT * FROM m10_recovery.api_token").fetchall())
