"""PostgreSQL itself, as m10_app: failures are stored as the API stores them. Hints to the workers are rows of the
fallback queue, since a client knows no Redis.
"""

import asyncio
import logging
import time
from datetime import timedelta
from typing import Final

from m10actors.client.errors import NotPermitted, Unavailable, WrongAddress
from m10actors.client.items import Lines, rejected_for
from m10actors.client.results import Outcome, Problem, Rejected, Stored
from m10actors.client.transport import Server
from m10actors.hints import Hints
from m10actors.ingest import Ingest, Receipt
from m10actors.postgres import errors as store
from m10actors.postgres.pool import Database
from m10actors.recovery.decoding import decode
from m10actors.recovery.dependency import Dependency, Hysteresis
from m10actors.recovery.failure import Failure, parse
from m10actors.recovery.problems import InvalidFailure
from m10actors.streams import RedisClient, StreamNames, StreamProducer

CREATED_BY: Final = "client"
POOL_NAME: Final = "m10-client"
_CONNECTIONS: Final = 4
# Each failed attempt of our pool, in threads that have its name; the client says once that the server is away.
logging.getLogger("psycopg.pool").addFilter(lambda record: not (record.threadName or "").startswith(POOL_NAME))


class DatabaseTransport:
    """Blocking; safe to use from many threads. WrongAddress for an address that cannot be read."""

    def __init__(self, server: Server) -> None:
        self._name = server.name
        patience = timedelta(seconds=server.timeout)
        try:
            self._database = Database(server.url, name=POOL_NAME, size=_CONNECTIONS, acquire_timeout=patience)
        except store.StoreRefused as error:
            raise WrongAddress(f"url: {error}") from None
        self._ingest = Ingest(self._database, _hints(self._database))
        self._database.open()

    def send(self, lines: Lines) -> list[Outcome]:
        """An outcome for each line, in order."""
        parsed = [_parsed(line) for line in lines]
        try:
            stored = iter(self._ingest.accept_each([one for one in parsed if isinstance(one, Failure)], CREATED_BY))
        except store.StoreUnavailable as error:
            raise Unavailable(f"{self._name}: {error}") from error
        except store.NotPermitted as error:
            raise NotPermitted(f"{self._name}: {error}") from error
        except store.StoreError as error:
            raise WrongAddress(f"{self._name} is no database of m10, or one of another version: {error}") from error
        return [outcome_of(next(stored)) if isinstance(one, Failure) else one for one in parsed]

    def close(self) -> None:
        self._database.close()


class AsyncDatabaseTransport:
    """The same for an event loop, which it does not block."""

    def __init__(self, server: Server) -> None:
        self._blocking = DatabaseTransport(server)

    async def send(self, lines: Lines) -> list[Outcome]:
        """As DatabaseTransport.send."""
        return await asyncio.to_thread(self._blocking.send, lines)

    async def close(self) -> None:
        await asyncio.to_thread(self._blocking.close)


def outcome_of(outcome: Receipt | store.DataRefused) -> Outcome:
    """What a failure came to in the database, as the API would say it."""
    match outcome:
        case store.DataRefused():
            return Rejected((Problem("store_refused", "", str(outcome)),))
        case Receipt():
            return Stored(
                candidate_id=outcome.candidate_id,
                status="accepted" if outcome.opened else "duplicate",
                failure_match_id=outcome.failure_match_id,
                occurrence_count=outcome.occurrence_count,
                counted=outcome.counted,
                message=outcome.message,
            )


def _hints(database: Database) -> Hints:
    """Hints that never try Redis."""
    absent = Dependency("redis", Hysteresis(failures=1))
    absent.observe("a client knows no Redis", time.monotonic())
    unused = RedisClient("redis://localhost", timeout=timedelta(seconds=1), connections=1)
    return Hints(StreamProducer(unused, StreamNames()), database, absent, max_len=1)


def _parsed(line: bytes) -> Failure | Rejected:
    try:
        return parse(decode(line, unique_keys=False))
    except InvalidFailure as invalid:
        return rejected_for(invalid.problems)
