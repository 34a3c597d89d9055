"""W7: open events claimed under the lease, signed, sent to a receiver on this machine, completed."""

import json
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from bench.stage import Stage
from m10actors.delivery import Event
from m10actors.postgres import outbox
from m10actors.postgres.locks import acquire, release
from m10actors.postgres.outbox import OUTBOX_LOCK, ClaimedEvent, Completion
from m10actors.testing import account

DELIVERIES = 2_000
PUBLISH = """
SELECT m10_recovery.publish_outbox('bench', n::text, 'webhook:bench', %s::jsonb) FROM generate_series(1, %s::int) n
"""


class Deliveries:
    """The engine; by hand: as many threads that only sign and send."""

    figures = (("W7 signed deliveries", "deliveries/s"),)

    def __init__(self, stage: Stage, scale: float) -> None:
        self._stage = stage
        self._count = int(DELIVERIES * scale)

    def ours(self) -> Sequence[float]:
        publish(self._stage, self._stage.receiver.url, self._count)
        rate = self._stage.rate(self._count, lambda: account.is_settled(self._stage.parts.ops))
        self._stage.forget(events=self._count)
        return [rate]

    def by_hand(self) -> Sequence[float]:
        publish(self._stage, self._stage.receiver.url, self._count)
        parts = self._stage.parts
        epoch = acquire(parts.app, OUTBOX_LOCK, "by hand", timedelta(minutes=1))
        assert epoch is not None, "nobody else holds the lock here"
        events = [_event(claimed) for claimed in outbox.claim(parts.app, "by hand", epoch, self._count)]
        started = time.monotonic()
        with ThreadPoolExecutor(parts.settings.outbox.max_concurrent_http) as pool:
            list(pool.map(lambda event: parts.live.deliver_together([event], epoch), events))
        seconds = time.monotonic() - started
        outbox.complete(parts.app, "by hand", epoch, [Completion(event.id, "delivered") for event in events])
        release(parts.app, OUTBOX_LOCK, "by hand", epoch)
        self._stage.forget(events=self._count)
        return [len(events) / seconds]


def publish(stage: Stage, url: str, count: int) -> None:
    """So many events for the receiver at `url`."""
    stage.sql(PUBLISH, json.dumps({"webhook_url": url, "data": {}}), count)


def _event(claimed: ClaimedEvent) -> Event:
    return Event(
        id=claimed.id,
        event_uuid=claimed.event_uuid,
        aggregate_type=claimed.aggregate_type,
        aggregate_id=claimed.aggregate_id,
        event_type=claimed.event_type,
        payload=claimed.payload.encode(),
        destination=claimed.destination,
        retry_count=0,
        idempotency_key=claimed.idempotency_key,
    )
