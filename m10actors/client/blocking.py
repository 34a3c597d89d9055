"""The client for programs with threads."""

import threading
from collections.abc import Iterable, Mapping
from typing import Self

from m10actors.client.capturing import Capturing
from m10actors.client.items import given, one, reporting
from m10actors.client.results import Outcome, Stored
from m10actors.client.retrying import perform
from m10actors.client.transport import Transport, connect


class RecoveryClient(Capturing):
    """Reports failures; safe to use from many threads. As a context manager it is closed at the end."""

    _transport: Transport | None
    _opening: threading.Lock

    def ingest(self, failure: Mapping[str, object] | None = None, /, **fields: object) -> Stored:
        """Stores one failure, given as `dict` is given its items, in either form that the API takes. Once this returns
        it cannot be lost.

        Each call has an idempotency key of its own and keeps it over its retries, unless the failure brings one.
        Refused, NotPermitted, WrongAddress; Unavailable once `retry_for` has ended.
        """
        return one(self.ingest_many([given(failure, fields)]))

    def ingest_many(self, failures: Iterable[Mapping[str, object]]) -> list[Outcome]:
        """Stores failures in batches; an outcome each, in order. What is refused spoils only itself.

        Errors as for `ingest`: their `outcomes` and `unsent` tell what came before and what to give in again.
        """
        return perform(reporting(failures, self._source), self._open(), self._retry_for)

    def flush(self, timeout: float = 10.0) -> bool:
        """Waits until all that was captured is stored, for `timeout` seconds; whether it is."""
        return self._dispatcher.flush(timeout)

    def close(self) -> bool:
        """Flushes for up to `exit_wait` seconds, and captures nothing more. Whether all is stored; what is on disk and
        is not is left to the next process.
        """
        all_sent = self._end_capturing()
        with self._opening:
            if self._transport is not None:
                self._transport.close()
                self._transport = None
        return all_sent

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _renew(self) -> None:
        super()._renew()
        self._transport = None
        self._opening = threading.Lock()

    def _open(self) -> Transport:
        with self._opening:
            if self._transport is None:
                self._transport = connect(self._server)
            return self._transport
