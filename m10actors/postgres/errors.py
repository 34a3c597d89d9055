"""What can go wrong with PostgreSQL, one class per decision that a caller can take. Driver errors are translated here
and nowhere else.
"""

import psycopg
from psycopg_pool import PoolTimeout, TooManyRequests

from m10actors.postgres.deadlines import OperationEnded


class StoreError(Exception):
    """PostgreSQL did not do what it was asked; `sqlstate` says why (None: the connection itself failed)."""

    def __init__(self, message: str, sqlstate: str | None = None) -> None:
        super().__init__(f"{message} ({sqlstate})" if sqlstate else message)
        self.sqlstate = sqlstate


class StoreUnavailable(StoreError):
    """Weather: not reachable, starting, stopping, full, read-only or out of connections. Asking again later is
    right.
    """


class StoreDown(StoreUnavailable):
    """Known to be down: it was not even asked. Its monitor says when asking is right again."""


class StoreContention(StoreUnavailable):
    """Rolled back because of other transactions (deadlock, serialization, lock timeout). Asking again at once is
    right.
    """


class StoreRefused(StoreError):
    """The data or the statement is at fault. Asking again changes nothing."""


class DataRefused(StoreRefused):
    """The data is at fault: what carries it is given up. Any other refusal is ours, or that of a schema of another
    version, and no reason to give anything up.
    """


class NotPermitted(StoreError):
    """The role lacks a right that the statement needs."""


class LeaseLost(StoreError):
    """The lock is not held by this holder in this epoch any more. Whoever gets this steps down."""


_DATA_CLASSES = {"22", "23", "54", "P0"}  # data exception, integrity constraint, program limit, raised by a trigger
_CONTENTION = {"40001", "40P01", "55P03"}
_WEATHER_CLASSES = {"08", "53", "57", "58"}
_WEATHER = {"25006", "25P03", "25P04", "XX000"}


def translate(error: Exception) -> StoreError:
    """The decision that a driver's error stands for, by SQLSTATE. Values (a DETAIL, a DSN) never reach the message."""
    if isinstance(error, PoolTimeout | TooManyRequests):
        return StoreUnavailable("no connection to PostgreSQL became free or could be made in time")
    if isinstance(error, UnicodeEncodeError):
        return DataRefused("text that is not valid Unicode")
    if isinstance(error, OperationEnded):
        return StoreUnavailable(str(error))
    if not isinstance(error, psycopg.Error):
        raise error
    state = error.sqlstate
    message = _without_values(error.diag.message_primary or str(error), state)
    if state is None:
        if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
            return StoreUnavailable("the connection to PostgreSQL failed")
        return DataRefused(message) if isinstance(error, psycopg.DataError) else StoreRefused(message)
    return _meaning(state)(message, state)


def _meaning(state: str) -> type[StoreError]:
    if state in _CONTENTION:
        return StoreContention
    if state == "M1002":
        return LeaseLost
    if state in {"42501", "28000", "28P01"}:
        return NotPermitted
    if state[:2] in _WEATHER_CLASSES or state in _WEATHER:
        return StoreUnavailable
    return DataRefused if state[:2] in _DATA_CLASSES else StoreRefused


def _without_values(message: str, state: str | None) -> str:
    """The first line, up to where it quotes a value (class 22) or an address (the driver's own errors)."""
    line = message.partition("\n")[0][:200]
    if state is not None and not state.startswith("22"):
        return line
    said, quote, _ = line.partition('"')
    return f'{said}"…"' if quote else line
