"""Asking PostgreSQL whether it can be used, outside any pool: a busy pool never looks like an outage."""

import time

import psycopg

from m10actors.postgres.deadlines import BoundedConnection, Operation, OperationEnded, connect
from m10actors.postgres.errors import StoreError, translate


class Prober:
    """One connection of its own, kept while it works. For one thread."""

    def __init__(self, url: str, seconds: int = 2) -> None:
        self._url = url
        self._seconds = seconds
        self._connection: BoundedConnection | None = None

    def probe(self) -> None:
        """Returns if PostgreSQL answers a query, else raises StoreError with the reason: within `seconds` for each host
        of the address to connect, and as many for the answer.
        """
        began = time.monotonic()
        try:
            if self._connection is None:
                self._connection = connect(self._url, seconds=self._seconds)
            with Operation("a probe", self._seconds):
                self._connection.execute("SELECT 1")
        except psycopg.Error as error:
            self.close()
            failure = translate(error)
            if not isinstance(error, OperationEnded):  # which says all of this
                failure.args = (f"{failure.args[0]}, after {time.monotonic() - began:.1f} s: {_reason(error)}",)
            raise failure from error

    def close(self) -> None:
        """Lets go of the connection; the next probe makes another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def reachable(url: str, timeout_seconds: int = 2) -> StoreError | None:
    """None if a connection to `url` can be made and used, else why not."""
    prober = Prober(url, timeout_seconds)
    try:
        prober.probe()
    except StoreError as failure:
        return failure
    finally:
        prober.close()
    return None


def _reason(error: psycopg.Error) -> str:
    """libpq's own words about a failed connection: the line that names host and cause, never a password. Nothing about
    an address that it cannot read, which repeat it.
    """
    if not isinstance(error, psycopg.OperationalError):
        return "the address cannot be read"
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return next((line for line in lines if "failed:" in line), lines[-1] if lines else "no reason was given")[:300]
