"""The client for programs with an event loop."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Self

from m10actors.client.capturing import Capturing
from m10actors.client.items import given, one, reporting
from m10actors.client.results import Outcome, Stored
from m10actors.client.retrying import perform_async
from m10actors.client.transport import AsyncTransport, connect_async


class AsyncRecoveryClient(Capturing):
    """RecoveryClient for one event loop. What captures is no coroutine here either: it waits for nothing."""

    _transport: AsyncTransport | None

    async def ingest(self, failure: Mapping[str, object] | None = None, /, **fields: object) -> Stored:
        """As RecoveryClient.ingest."""
        return one(await self.ingest_many([given(failure, fields)]))

    async def ingest_many(self, failures: Iterable[Mapping[str, object]]) -> list[Outcome]:
        """As RecoveryClient.ingest_many."""
        if self._transport is None:
            self._transport = connect_async(self._server)
        return await perform_async(reporting(failures, self._source), self._transport, self._retry_for)

    async def flush(self, timeout: float = 10.0) -> bool:
        """As RecoveryClient.flush."""
        return await asyncio.to_thread(self._dispatcher.flush, timeout)

    async def close(self) -> bool:
        """As RecoveryClient.close."""
        all_sent = await asyncio.to_thread(self._end_capturing)
        if self._transport is not None:
            await self._transport.close()
            self._transport = None
        return all_sent

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def _renew(self) -> None:
        super()._renew()
        self._transport = None
