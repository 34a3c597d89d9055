"""A pool of connections to one database as one role, and the one way to ask it something."""

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import psycopg
import psycopg.conninfo
from psycopg.types.json import Jsonb
from psycopg_pool import ConnectionPool, PoolTimeout, TooManyRequests
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from m10actors.postgres.errors import StoreContention, StoreError, StoreUnavailable, translate

Row = tuple[Any, ...]
T = TypeVar("T")

_QUERIES = Path(__file__).parent / "queries"
_DRIVER_ERRORS = (psycopg.Error, PoolTimeout, TooManyRequests, UnicodeEncodeError)


@cache
def query(name: str) -> bytes:
    """The text of the named query (`queries/<name>.sql`)."""
    return (_QUERIES / f"{name}.sql").read_bytes()


def jsonb(value: object) -> object:
    """A parameter of type jsonb."""
    return Jsonb(value)


class Database:
    """Connections as one role. Each call is one statement and one transaction of its own, so that a transaction-mode
    pooler can stand
    in between: no session state, no prepared statements. Thread-safe.

    `acquire_timeout` bounds the wait for a connection; the server's `statement_timeout` bounds the statement.
    StoreRefused for a `url` that cannot be read: the pool would log it, password and all, at every attempt.
    """

    def __init__(
        self,
        url: str,
        *,
        name: str,
        size: int,
        acquire_timeout: timedelta = timedelta(seconds=3),
        connect_timeout: int = 2,
    ) -> None:
        try:
            psycopg.conninfo.conninfo_to_dict(url)
        except psycopg.Error as error:
            raise translate(error) from None
        self.name = name
        self._pool = ConnectionPool(
            url,
            name=name,
            min_size=1,
            max_size=size,
            open=False,
            timeout=acquire_timeout.total_seconds(),
            # A failed attempt is given up soon and made again by the next call: no backoff of minutes outlives an
            # outage.
            reconnect_timeout=1.0,
            check=ConnectionPool.check_connection,
            kwargs={
                "autocommit": True,
                "prepare_threshold": None,
                "connect_timeout": connect_timeout,
                "application_name": f"m10:{name}",
                "keepalives_idle": 10,
                "keepalives_interval": 5,
                "keepalives_count": 3,
                "tcp_user_timeout": 10_000,
            },
        )

    def open(self) -> None:
        """Starts the pool without waiting for a connection: an unreachable server is weather, not a failed start."""
        self._pool.open(wait=False)

    def close(self) -> None:
        self._pool.close(timeout=2.0)

    def __enter__(self) -> "Database":
        self.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def rows(self, name: str, parameters: Sequence[object] | Mapping[str, object] = ()) -> list[Row]:
        """The rows of the named query. Contention is retried here (nothing was written); StoreError otherwise."""
        return self._asked(lambda connection: connection.execute(query(name), parameters, binary=False).fetchall())

    def run(self, name: str, parameters: Sequence[object] | Mapping[str, object] = ()) -> int:
        """Runs the named query; the number of rows it touched."""
        return self._asked(lambda connection: connection.execute(query(name), parameters).rowcount)

    def value(self, name: str, parameters: Sequence[object] | Mapping[str, object] = ()) -> Any:
        """The first column of the first row; None without a row."""
        rows = self.rows(name, parameters)
        return rows[0][0] if rows else None

    def _asked(self, ask: Callable[[psycopg.Connection[Row]], T]) -> T:
        for attempt in Retrying(
            retry=retry_if_exception_type(StoreContention),
            stop=stop_after_attempt(6),
            wait=wait_random_exponential(multiplier=0.01, max=0.5),
            reraise=True,
        ):
            with attempt:
                return self._once(ask)
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _once(self, ask: Callable[[psycopg.Connection[Row]], T]) -> T:
        try:
            with self._pool.connection() as connection:
                try:
                    return ask(connection)
                except psycopg.Error as error:
                    failure = translate(error)
                    if isinstance(failure, StoreUnavailable) and not isinstance(failure, StoreContention):
                        connection.close()  # a demoted or stopping server never gets better on this connection
                    raise failure from error
        except _DRIVER_ERRORS as error:
            raise translate(error) from error


def reachable(url: str, timeout_seconds: int = 2) -> StoreError | None:
    """None if a connection to `url` can be made and used, else why not."""
    started = time.monotonic()
    try:
        with psycopg.connect(url, connect_timeout=timeout_seconds, autocommit=True) as connection:
            connection.execute("SELECT 1")
    except psycopg.Error as error:
        failure = translate(error)
        failure.args = (f"{failure.args[0]}, after {time.monotonic() - started:.1f} s: {_reason(error)}",)
        return failure
    return None


def _reason(error: psycopg.Error) -> str:
    """libpq's own words about a failed connection: the line that names host and cause, never a password. Nothing about
    an address that it cannot read, which repeat it.
    """
    if not isinstance(error, psycopg.OperationalError):
        return "the address cannot be read"
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return next((line for line in lines if "failed:" in line), lines[-1] if lines else "no reason was given")[:300]
