"""No call to PostgreSQL lasts longer than its deadline, whatever has become of the server or of the network."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from uuid import uuid4

import pytest
from schema_kit import Lab, failure, in_background
from weather_kit import frozen

from m10actors.embedded import EmbeddedServers
from m10actors.postgres import deadlines, failures
from m10actors.postgres.deadlines import Operation, OperationEnded, connect
from m10actors.postgres.errors import StoreDown, StoreError, StoreUnavailable
from m10actors.postgres.migrate import create_database, migrate, pending
from m10actors.postgres.pool import Database, jsonb
from m10actors.postgres.prober import Prober, reachable
from m10actors.recovery.dependency import Dependency
from m10actors.testing.database import MigratedDatabase
from m10actors.testing.proxy import FaultProxy
from m10actors.testing.waiting import eventually

SOON = timedelta(milliseconds=200)


@pytest.fixture
def lab(database: MigratedDatabase) -> Lab:
    return Lab(database)


@pytest.fixture
def proxy(servers: EmbeddedServers) -> Iterator[FaultProxy]:
    with FaultProxy(servers.start().socket_dir / ".s.PGSQL.5432") as proxy:
        yield proxy


def through(proxy: FaultProxy, lab: Lab) -> str:
    host, port = proxy.address  # type: ignore[misc]
    return f"postgresql://m10_app@{host}:{port}/{lab.database.name}"


def error_of(call: Callable[[], object]) -> StoreError | None:
    try:
        call()
    except StoreError as error:
        return error
    return None


@contextmanager
def stuck_statement(lab: Lab, pool: Database) -> Iterator[Callable[[], StoreError | None]]:
    """A call that waits for a lock in the server; gives the way to what it raised."""
    match_id = uuid4()
    failures.ingest(lab.app, [failure(match_id)], "me")
    with lab.database.connect("app").transaction() as holder:
        holder.connection.execute("SELECT FROM recovery_candidates FOR UPDATE")
        call = in_background(lambda: error_of(lambda: failures.ingest(pool, [failure(match_id)], "me")))
        lab.until_somebody_waits()
        yield lambda: call.result(10)


def test_a_statement_past_its_deadline_ends_and_says_which_it_was(lab: Lab) -> None:
    with Database(lab.database.url(), name="brief", size=1, timeout=SOON) as pool:
        with stuck_statement(lab, pool) as raised:
            error = raised()
            assert isinstance(error, StoreUnavailable)
            assert str(error) == "the query ingest_failures: no answer from PostgreSQL within 0.2 s"
        assert pool.value("probe") == 1  # on another connection


def test_a_statement_in_a_black_hole_ends_and_the_pool_goes_on_with_new_connections(
    lab: Lab, proxy: FaultProxy
) -> None:
    with Database(through(proxy, lab), name="brief", size=2, timeout=SOON) as pool:
        with stuck_statement(lab, pool) as raised:
            proxy.forget()
            assert isinstance(raised(), StoreUnavailable)
        assert pool.value("probe") == 1


def test_nothing_waits_for_a_frozen_server(
    servers: EmbeddedServers, lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("m10actors.postgres.migrate.CONNECT_SECONDS", 1)
    url = lab.database.url("superuser")
    with Database(url, name="brief", size=1, acquire_timeout=SOON, timeout=SOON) as pool:
        assert pool.value("probe") == 1
        prober = Prober(url, seconds=1)
        prober.probe()
        calls: dict[str, Callable[[], object]] = {
            "a pooled connection": lambda: pool.value("probe"),
            "a probe": prober.probe,
            "status": lambda: pending(url, tmp_path),
            "migrate": lambda: migrate(url, tmp_path),
            "create": lambda: create_database(url, "x"),
        }
        with frozen(servers, "postgres"):
            running = {name: in_background(partial(error_of, call)) for name, call in calls.items()}
            for name, call in running.items():
                assert isinstance(call.result(20), StoreUnavailable), name
            assert isinstance(reachable(url, 1), StoreUnavailable)
        prober.probe()
        prober.close()
        eventually(lambda: error_of(lambda: pool.value("probe")) is None)


@pytest.mark.parametrize("end", ["commit", "rollback"])
def test_the_end_of_a_transaction_has_a_deadline_too(lab: Lab, proxy: FaultProxy, end: str) -> None:
    with connect(through(proxy, lab), seconds=2) as connection:
        connection.autocommit = False
        connection.execute("SELECT 1")
        proxy.dark()
        with Operation(end, 0.2), pytest.raises(OperationEnded, match=f"{end}: no answer from PostgreSQL within 0.2 s"):
            getattr(connection, end)()
        assert connection.closed


def test_what_nobody_waits_for_has_a_deadline_too(lab: Lab, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deadlines, "UNATTENDED", 0.1)
    with connect(through(proxy, lab), seconds=2) as connection:
        proxy.dark()
        with pytest.raises(OperationEnded):
            connection.execute("SELECT 1")


def test_who_holds_a_call_can_end_it_from_another_thread(lab: Lab) -> None:
    held: list[Callable[[], object]] = []

    @contextmanager
    def hold(shut: Callable[[], object]) -> Iterator[None]:
        held.append(shut)
        yield

    with Database(lab.database.url(), name="held", size=1, hold=hold) as pool:
        with stuck_statement(lab, pool) as raised:
            held[-1]()
            assert "cut off" in str(raised())
        assert pool.value("probe") == 1


def test_who_was_cut_off_before_it_begins_costs_the_pool_no_connection(lab: Lab) -> None:
    @contextmanager
    def cut_at_once(shut: Callable[[], object]) -> Iterator[None]:
        shut()
        yield

    with Database(lab.database.url(), name="held", size=2) as pool:
        assert pool.value("probe") == 1
        before = connections(lab, "m10:held")
        pool._hold = cut_at_once
        assert "cut off" in str(error_of(lambda: pool.value("probe")))
        assert connections(lab, "m10:held") == before


def connections(lab: Lab, name: str) -> object:
    rows = lab.database.connect("superuser").execute(
        "SELECT pid FROM pg_stat_activity WHERE application_name = %s ORDER BY pid", (name,)
    )
    return rows.fetchall()


def test_who_was_cut_off_while_a_connection_is_checked_waits_for_no_other(lab: Lab, proxy: FaultProxy) -> None:
    held = list[Callable[[], object]]()

    @contextmanager
    def hold(shut: Callable[[], object]) -> Iterator[None]:
        held.append(shut)
        yield

    with Database(through(proxy, lab), name="held", size=1, acquire_timeout=timedelta(minutes=1), hold=hold) as pool:
        assert pool.value("probe") == 1
        proxy.dark()
        call = in_background(lambda: error_of(lambda: pool.value("probe")))
        eventually(lambda: len(held) == 2)
        held[-1]()
        assert "cut off" in str(call.result(5))


def test_an_operation_lasts_no_longer_than_the_one_around_it(lab: Lab) -> None:
    with Database(lab.database.url(), name="patient", size=1) as pool:
        assert pool.value("probe") == 1
        with lab.database.connect("superuser").transaction() as holder:
            holder.connection.execute("LOCK TABLE m10_recovery.settings IN ACCESS EXCLUSIVE MODE")
            with Operation("all of it", 0.2):
                error = error_of(lambda: pool.rows("configure", {"settings": jsonb({"max_retries": 1})}))
        assert str(error) == "all of it: no answer from PostgreSQL within 0.2 s"


def test_an_operation_that_was_cut_begins_nothing_more(lab: Lab) -> None:
    with connect(lab.database.url(), seconds=2) as connection, Operation("a late word", 10) as operation:
        operation.cut()
        with pytest.raises(OperationEnded):
            connection.execute("CREATE TABLE late()")
    assert lab.value("SELECT to_regclass('late')") is None


def test_when_the_server_is_found_down_its_callers_are_told_at_once_and_then_not_kept_waiting(lab: Lab) -> None:
    postgres = Dependency("postgres")
    with Database(lab.database.url(), name="weather", size=1, dependency=postgres) as pool:
        with stuck_statement(lab, pool) as raised:
            for _ in range(2):
                postgres.observe("no route", 0.0)
            assert isinstance(raised(), StoreUnavailable)
            refused = error_of(lambda: pool.value("probe"))
            assert isinstance(refused, StoreDown)
            assert "no route" in str(refused)
        postgres.observe(None, 1.0)
        assert pool.value("probe") == 1


def test_who_waits_for_a_free_connection_is_told_at_once_as_well(lab: Lab) -> None:
    postgres, long = Dependency("postgres"), timedelta(minutes=1)
    with Database(lab.database.url(), name="weather", size=1, acquire_timeout=long, dependency=postgres) as pool:
        with stuck_statement(lab, pool) as raised:
            waiting = in_background(lambda: error_of(lambda: pool.value("probe")))
            eventually(lambda: len(pool._under_way) == 2)
            for _ in range(2):
                postgres.observe("no route", 0.0)
            assert isinstance(waiting.result(10), StoreUnavailable)
            assert isinstance(raised(), StoreUnavailable)
        postgres.observe(None, 1.0)
        assert pool.value("probe") == 1


def test_a_pool_that_is_opened_while_the_server_is_down_begins_when_it_is_up(lab: Lab) -> None:
    postgres = Dependency("postgres")
    postgres.observe("no route", 0.0)
    with Database(lab.database.url(), name="weather", size=1, dependency=postgres) as pool:
        assert isinstance(error_of(lambda: pool.value("probe")), StoreDown)
        postgres.observe(None, 1.0)
        assert pool.value("probe") == 1


def test_a_call_that_cannot_use_the_server_has_its_monitor_look(lab: Lab) -> None:
    postgres, looked = Dependency("postgres"), threading.Event()
    postgres.watched_by(looked.set)
    with Database(lab.database.url(), name="weather", size=1, dependency=postgres, timeout=SOON) as pool:
        assert pool.value("probe") == 1
        assert not looked.is_set()
        with stuck_statement(lab, pool) as raised:
            raised()
            assert looked.is_set()
