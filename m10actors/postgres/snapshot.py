"""Several queries, all of them as of one moment."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Final

import psycopg

from m10actors.postgres.deadlines import BoundedConnection, Operation, Row, connect
from m10actors.postgres.errors import translate
from m10actors.postgres.pool import query

Ask = Callable[[str, Mapping[str, object]], list[Row]]
_CONNECT_SECONDS: Final = 2
_LEEWAY_SECONDS: Final = 5.0
"""How much later than PostgreSQL a query is given up here, so that its word comes first."""


class OutOfTime(Exception):
    """A query took longer than it may."""


@contextmanager
def snapshot(url: str, timeout: timedelta) -> Iterator[Ask]:
    """Asks named queries in one READ ONLY, REPEATABLE READ transaction: it locks nothing, and sees nothing of what is
    committed meanwhile. As long as it lasts PostgreSQL keeps what others delete: it is not for long work.

    A query that takes longer than `timeout` raises OutOfTime, and the next one may be asked; StoreError otherwise.
    """
    try:
        with connect(url, seconds=_CONNECT_SECONDS) as connection:
            connection.read_only = True
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            with Operation("a snapshot", _CONNECT_SECONDS) as operation, connection.transaction():
                limit = f"{timeout.total_seconds() * 1000:.0f}"
                connection.execute("SELECT set_config('statement_timeout', %s, true)", [limit])
                yield lambda name, parameters: _ask(connection, operation, name, parameters, timeout.total_seconds())
                operation.goes_on("the end of a snapshot", _CONNECT_SECONDS)
    except psycopg.Error as error:
        raise translate(error) from error


def _ask(
    connection: BoundedConnection, operation: Operation, name: str, parameters: Mapping[str, object], seconds: float
) -> list[Row]:
    operation.goes_on(f"the query {name}", seconds + _LEEWAY_SECONDS)
    try:
        with connection.transaction():  # a savepoint, to go back to
            return connection.execute(query(name), parameters, binary=False).fetchall()
    except psycopg.errors.QueryCanceled as error:
        raise OutOfTime(f"{name}: no answer within {seconds:g} s") from error
