"""PostgreSQL itself: failures are stored as the API stores them, with a hint to the workers of running instances."""

import logging
import time
from collections.abc import Sequence
from typing import Final

from m10actors.application.parts import Parts
from m10actors.cli.targets import TryLater
from m10actors.client.database import outcome_of
from m10actors.client.results import Outcome
from m10actors.config import Loaded
from m10actors.instance import new_worker_id
from m10actors.lines import Reported
from m10actors.postgres.errors import StoreUnavailable
from m10actors.postgres.prober import reachable

CREATED_BY: Final = "local"


class DatabaseTarget:
    """The database of the settings. Without a configured Redis the hints are rows of the fallback queue."""

    def __init__(self, loaded: Loaded) -> None:
        address = loaded.settings.database.url
        assert address is not None, "the caller saw one"
        self.name = str(address)
        self._url = address.get_secret_value()
        logging.getLogger("psycopg.pool").setLevel(logging.ERROR)  # each failed attempt; `send` says so once
        self._parts = Parts.of(loaded.settings, new_worker_id())
        if loaded.is_default("redis.url"):
            self._parts.redis.observe("not configured", time.monotonic())
        self._parts.app.open()

    def send(self, batch: Sequence[Reported]) -> Sequence[Outcome]:
        try:
            stored = self._parts.ingest.accept_each([line.failure for line in batch], CREATED_BY)
        except StoreUnavailable as error:
            raise TryLater(f"{self.name} is unavailable: {reachable(self._url) or error}") from error
        return list(map(outcome_of, stored))

    def close(self) -> None:
        self._parts.close()
