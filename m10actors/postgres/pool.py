"""A pool of connections to one database as one role, and the one way to ask it something."""

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from functools import cache, partial
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import psycopg
import psycopg.conninfo
from psycopg.types.json import Jsonb
from psycopg_pool import ConnectionPool, PoolTimeout, TooManyRequests
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from m10actors.postgres.deadlines import BoundedConnection, Operation, OperationEnded, Row, current
from m10actors.postgres.errors import StoreContention, StoreDown, StoreError, StoreUnavailable, translate
from m10actors.recovery.dependency import Condition, Dependency, Health
from m10actors.recovery.hold import Hold, unheld

T = TypeVar("T")
LONGEST_CALL = timedelta(seconds=35)
"""A little longer than the `statement_timeout` of our roles (30 s), so that the server's word comes first."""

_QUERIES = Path(__file__).parent / "queries"
_DRIVER_ERRORS = (psycopg.Error, PoolTimeout, TooManyRequests, UnicodeEncodeError)
_CHECK_SECONDS = 1.0
_FRESH_SECONDS = 1.0
"""A connection that was heard of so lately is checked without a round trip."""
_WHILE_CONTENDED = Retrying(
    retry=retry_if_exception_type(StoreContention),
    stop=stop_after_attempt(5),
    wait=wait_random_exponential(multiplier=0.01, max=0.5),
    reraise=True,
)

# It warns of each attempt at a connection; callers get an error of ours, and the monitor says once that all fail.
logging.getLogger("psycopg.pool").setLevel(logging.ERROR)


@cache
def query(name: str) -> bytes:
    """The text of the named query (`queries/<name>.sql`)."""
    return (_QUERIES / f"{name}.sql").read_bytes()


def jsonb(value: object) -> object:
    """A parameter of type jsonb."""
    return Jsonb(value)


class Database:
    """Connections as one role. Each call is one statement and one transaction of its own, so that a transaction-mode
    pooler can stand in between: no session state, no prepared statements. Thread-safe.

    No call takes longer than `acquire_timeout` (for a connection) and `timeout` (for the statement) together; past it,
    StoreUnavailable, and the connection is given up. While `dependency` is down nothing is asked, and what is under way
    when it goes down ends at once. `hold` is entered around each call. StoreRefused for a `url` that cannot be read:
    the pool would log it, password and all, at every attempt.
    """

    def __init__(
        self,
        url: str,
        *,
        name: str,
        size: int,
        acquire_timeout: timedelta = timedelta(seconds=3),
        connect_timeout: int = 2,
        timeout: timedelta = LONGEST_CALL,
        dependency: Dependency | None = None,
        hold: Hold = unheld,
    ) -> None:
        try:
            psycopg.conninfo.conninfo_to_dict(url)
        except psycopg.Error as error:
            raise translate(error) from None
        self.name = name
        self._acquire_seconds = acquire_timeout.total_seconds()
        self._seconds = timeout.total_seconds()
        self._dependency = dependency or Dependency("postgres")
        self._hold = hold
        self._under_way: set[Operation] = set()
        self._is_open = False
        self._make_pool = partial(_new_pool, url, name, size, self._acquire_seconds, connect_timeout)
        self._pool = self._make_pool()
        self._dependency.subscribe(self._heard_of)

    def open(self) -> None:
        """Starts the pool without waiting for a connection: an unreachable server is weather, not a failed start."""
        self._is_open = True  # first: whoever comes up now opens it, or is seen here
        if not self._dependency.is_down:
            self._pool.open(wait=False)

    def close(self) -> None:
        self._is_open = False
        self._pool.close(timeout=2.0)

    def __enter__(self) -> "Database":
        self.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def rows(
        self, name: str, parameters: Sequence[object] | Mapping[str, object] = (), *, binary: bool = False
    ) -> list[Row]:
        """The rows of the named query. Contention is retried here (nothing was written); StoreError otherwise.
        `binary`: sent as PostgreSQL holds them, which is cheaper to read for all but jsonb.
        """
        return self._asked(
            name, lambda connection: connection.execute(query(name), parameters, binary=binary).fetchall()
        )

    def read(self, name: str, parameters: Sequence[object] | Mapping[str, object] = ()) -> list[Row]:
        """The rows of the named query, in a READ ONLY transaction: StoreError if it would write."""
        return self._asked(name, lambda connection: _read_only(connection, query(name), parameters))

    def run(self, name: str, parameters: Sequence[object] | Mapping[str, object] = ()) -> int:
        """Runs the named query; the number of rows it touched."""
        return self._asked(name, lambda connection: connection.execute(query(name), parameters).rowcount)

    def value(self, name: str, parameters: Sequence[object] | Mapping[str, object] = ()) -> Any:
        """The first column of the first row; None without a row."""
        rows = self.rows(name, parameters)
        return rows[0][0] if rows else None

    def _asked(self, name: str, ask: Callable[[BoundedConnection], T]) -> T:
        try:
            return self._once(name, ask)
        except StoreContention:  # only then: to begin with it costs as much as a small question
            answer: T = _WHILE_CONTENDED(self._once, name, ask)
            return answer

    def _once(self, name: str, ask: Callable[[BoundedConnection], T]) -> T:
        with Operation("a free connection", self._acquire_seconds) as operation, self._hold(operation.cut):
            self._under_way.add(operation)
            try:
                self._refuse_while_down()  # after it was added: whoever goes down now cuts it, or is seen here
                operation.check()
                with self._pool.connection() as connection:
                    operation.check()
                    operation.goes_on(f"the query {name}", self._seconds)
                    return self._answered(connection, ask)
            except _DRIVER_ERRORS as error:
                failure = translate(error)
                if _is_weather(failure):
                    self._dependency.suspect()
                raise failure from error
            finally:
                self._under_way.discard(operation)

    def _answered(self, connection: BoundedConnection, ask: Callable[[BoundedConnection], T]) -> T:
        try:
            return ask(connection)
        except psycopg.Error as error:
            if _is_weather(translate(error)):
                connection.close()  # a demoted or stopping server never gets better on this connection
            raise

    def _refuse_while_down(self) -> None:
        health = self._dependency.health
        if health.condition is Condition.DOWN:
            raise StoreDown(f"PostgreSQL is down: {health.reason}")

    def _heard_of(self, health: Health) -> None:
        """Ends what waits for a server that is down, for a connection too, and begins anew when it is up: connections
        from before may lead into a black hole, and a pool may be in the middle of a pause between two attempts.
        """
        if health.condition is Condition.DOWN:
            former, self._pool = self._pool, self._make_pool()
            for operation in self._under_way.copy():  # in one step: others come and go meanwhile
                operation.cut("PostgreSQL is down")
            former.close(timeout=0)
        elif self._is_open:
            self._pool.open(wait=False)


def _new_pool(
    url: str, name: str, size: int, acquire_seconds: float, connect_timeout: int
) -> ConnectionPool[BoundedConnection]:
    return ConnectionPool(
        url,
        connection_class=BoundedConnection,
        name=name,
        min_size=1,
        max_size=size,
        open=False,
        timeout=acquire_seconds,
        # A failed attempt is given up soon and made again by the next call: no backoff of minutes outlives an outage.
        reconnect_timeout=1.0,
        check=_check,
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


def _read_only(
    connection: BoundedConnection, statement: bytes, parameters: Sequence[object] | Mapping[str, object]
) -> list[Row]:
    connection.read_only = True  # psycopg says so in each BEGIN of this connection: there is no other than this one
    with connection.transaction():
        return connection.execute(statement, parameters, binary=False).fetchall()


def _check(connection: BoundedConnection) -> None:
    """Whether a pooled connection still works: one that does not is replaced, within the time for a connection. Who
    must not go on takes what there is: to them the pool would give, and lose, one connection after the other.
    """
    if connection.is_quiet_since(_FRESH_SECONDS):
        return
    asker = current()
    try:
        with Operation("the check of a connection", _CHECK_SECONDS):
            connection.execute("")
    except OperationEnded:
        if asker is None or not asker.verdict:
            raise


def _is_weather(failure: StoreError) -> bool:
    return isinstance(failure, StoreUnavailable) and not isinstance(failure, StoreContention)
