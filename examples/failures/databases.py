"""Failures of PostgreSQL and Valkey: real servers from wheels, asked for what they cannot do."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import psycopg
import redis
from report import Report, provoke

from m10actors.embedded import Addresses, EmbeddedServers

_TABLES = """
CREATE TABLE customer (id int PRIMARY KEY, email text NOT NULL UNIQUE, age int CHECK (age >= 0), code varchar(5));
CREATE TABLE orders (id int PRIMARY KEY, customer_id int NOT NULL REFERENCES customer);
CREATE TABLE secret (id int);
INSERT INTO customer VALUES (1, 'a@example.org', 30, 'a'), (2, 'b@example.org', 40, 'b');
CREATE ROLE app LOGIN CONNECTION LIMIT 2;
GRANT SELECT ON customer TO app;
"""

# Statements that fail; {0} differs from run to run.
STATEMENTS = (
    ("reports", "SELECT {0} / 0"),
    ("signup", "INSERT INTO customer VALUES (1{0}, 'a@example.org', 1, 'x')"),
    ("orders", "INSERT INTO orders VALUES ({0}, 9{0})"),
    ("signup", "INSERT INTO customer (id) VALUES (7{0})"),
    ("signup", "INSERT INTO customer VALUES (5{0}, 'c{0}@example.org', -{0}, 'x')"),
    ("signup", "INSERT INTO customer VALUES (6{0}, 'd{0}@example.org', 1, 'much too long {0}')"),
    ("reports", "SELECT * FROM orders_2026_0{0}"),
    ("reports", "SELECT discount_{0} FROM orders"),
    ("reports", "SELECT percentile_of({0})"),
    ("search", "SELECT * FORM customer LIMIT {0}"),
    ("imports", "SELECT 'n/a {0}'::int"),
    ("imports", "SELECT {0}000000000000::int"),
    ("imports", "SELECT '2026-02-3{0}'::date"),
    ("imports", "SELECT '{{\"order\": {0},}}'::jsonb"),
    ("reports", "SET LOCAL statement_timeout = 20; SELECT pg_sleep(1{0})"),
    ("backoffice", "SET LOCAL ROLE app; SELECT * FROM secret WHERE id = {0}"),
    ("replica", "SET TRANSACTION READ ONLY; DELETE FROM orders WHERE id = {0}"),
)

# Valkey commands that fail, each after the ones that prepare it.
COMMANDS = (
    ("sessions", "RPUSH session:{0} a", "INCR session:{0}"),
    ("counters", "SET visits:{0} many", "INCR visits:{0}"),
    ("jobs", "XADD jobs:{0} * task mail", "XREADGROUP GROUP mailers m1 STREAMS jobs:{0} >"),
    ("jobs", "PING", "EVALSHA ffffffffffffffffffffffffffffffffffff000{0} 0"),
    ("cache", "PING", "GETRANGE cache:{0} 0"),
    ("cache", "PING", "FLUSHEVERYTHING {0}"),
    ("cache", "CONFIG SET maxmemory 1", "SET cache:{0} x"),
)


def failures(folder: Path) -> Iterator[Report]:
    servers = EmbeddedServers(folder / "servers", fsync=False)
    addresses = servers.start()
    try:
        yield from _postgresql(addresses)
        yield from _valkey(addresses)
    finally:
        servers.stop()


def _postgresql(addresses: Addresses) -> Iterator[Report]:
    url = addresses.postgres_superuser_url
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(_TABLES)
    for source, statement in STATEMENTS:
        for run in range(1, 5):
            yield _report(source, partial(_execute, url, statement.format(run)))
    for run in range(1, 4):
        yield _report("transfers", partial(_deadlock, url))
        yield _report("transfers", partial(_serialization_failure, url))
        yield _report("transfers", partial(_locked_row, url))
        yield _report("migrations", partial(_terminated, url))
        yield _report("workers", partial(_too_many_connections, addresses))
        yield _report("workers", partial(_execute, addresses.postgres_url("app", f"tenant_{run}"), "SELECT 1"))


def _report(source: str, action: Callable[[], object]) -> Report:
    return provoke("postgresql", source, action, psycopg.Error)


def _execute(url: str, statement: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute(statement)


def _deadlock(url: str) -> None:
    """Two transactions lock two rows in opposite order."""
    lock = "SELECT 1 FROM customer WHERE id = %s FOR UPDATE"
    with psycopg.connect(url) as one, psycopg.connect(url) as two, ThreadPoolExecutor(1) as thread:
        for connection, row in ((one, 1), (two, 2)):
            connection.execute("SET LOCAL deadlock_timeout = '20ms'")
            connection.execute(lock, (row,))
        crossing = thread.submit(one.execute, lock, (2,))
        try:
            two.execute(lock, (1,))
        finally:
            two.rollback()
        crossing.result()


def _serialization_failure(url: str) -> None:
    with psycopg.connect(url) as one, psycopg.connect(url) as two:
        for connection in (one, two):
            connection.isolation_level = psycopg.IsolationLevel.SERIALIZABLE
            connection.execute("SELECT sum(age) FROM customer")
        one.execute("UPDATE customer SET age = age + 1 WHERE id = 1")
        two.execute("UPDATE customer SET age = age + 1 WHERE id = 2")
        one.commit()
        two.commit()


def _locked_row(url: str) -> None:
    with psycopg.connect(url) as holder, psycopg.connect(url) as waiter:
        holder.execute("UPDATE customer SET age = 1 WHERE id = 1")
        waiter.execute("SET LOCAL lock_timeout = '20ms'")
        waiter.execute("UPDATE customer SET age = 2 WHERE id = 1")


def _terminated(url: str) -> None:
    """A connection that the administrator ends."""
    with psycopg.connect(url, autocommit=True) as admin, psycopg.connect(url) as victim:
        admin.execute("SELECT pg_terminate_backend(%s, 5000)", (victim.info.backend_pid,))
        victim.execute("SELECT 1")


def _too_many_connections(addresses: Addresses) -> None:
    url = addresses.postgres_url("app", "postgres")
    with psycopg.connect(url), psycopg.connect(url), psycopg.connect(url):
        pass


def _valkey(addresses: Addresses) -> Iterator[Report]:
    with redis.Redis.from_url(addresses.redis_url) as client:
        for source, prepare, command in COMMANDS:
            for run in range(1, 6):
                client.execute_command(*prepare.format(run).split())
                yield provoke(
                    "valkey",
                    source,
                    partial(client.execute_command, *command.format(run).split()),
                    redis.ResponseError,
                    command=command.split()[0],
                )
