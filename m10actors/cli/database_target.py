"""PostgreSQL itself: failures are stored as the API stores them, with a hint to the workers of running instances."""

import logging
import time
from collections.abc import Sequence
from typing import Final

from m10actors.application.parts import Parts
from m10actors.cli.targets import Outcome, Refused, Stored, TryLater
from m10actors.config import Loaded
from m10actors.ingest import Receipt
from m10actors.instance import new_worker_id
from m10actors.lines import Reported
from m10actors.postgres.errors import StoreRefused, StoreUnavailable
from m10actors.postgres.pool import reachable

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
            return self._accept(batch)
        except StoreUnavailable as error:
            raise TryLater(f"{self.name} is unavailable: {reachable(self._url) or error}") from error

    def close(self) -> None:
        self._parts.close()

    def _accept(self, batch: Sequence[Reported]) -> list[Outcome]:
        """Stores the batch; if PostgreSQL refuses it, halves it until only what is at fault is left out."""
        try:
            return [
                _stored(receipt) for receipt in self._parts.ingest.accept([line.failure for line in batch], CREATED_BY)
            ]
        except StoreRefused as refused:
            if (refused.sqlstate or "")[:2] not in _DATA_AT_FAULT:
                raise
            if len(batch) == 1:
                return [Refused(({"code": "store_refused", "field": "", "message": str(refused)},))]
        half = len(batch) // 2
        return self._accept(batch[:half]) + self._accept(batch[half:])


_DATA_AT_FAULT: Final = {"22", "23", "54"}
"""Classes of SQLSTATE: data exception, integrity constraint violation, program limit exceeded."""


def _stored(receipt: Receipt) -> Stored:
    return Stored(counted=receipt.counted, opened=receipt.opened)
