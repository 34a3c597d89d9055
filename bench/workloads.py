"""The workloads: for each, the engine and a loop by hand that does the same with no engine around it."""

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from bench.stage import Stage
from m10actors.delivery import Deliverer, Event
from m10actors.evaluation import Evaluator, Work
from m10actors.postgres import failures, outbox
from m10actors.postgres.locks import acquire, release
from m10actors.postgres.outbox import OUTBOX_LOCK, Completion
from m10actors.streams import Entry
from m10actors.testing import account

BATCH = 500
EVALUATIONS = 10_000
INGESTED = 20_000
DELIVERIES = 2_000

Rate = Callable[[], float]


def evaluations(stage: Stage) -> tuple[Rate, Rate]:
    """Due candidates waiting in the stream: read, decided by the rules, written with provenance and event,
    acknowledged.

    By hand: one loop over the same statements, without actors, leases, supervision or metrics of the tree.
    """

    def waiting() -> None:
        given = stage.failures(EVALUATIONS)
        for at in range(0, len(given), BATCH):
            stage.parts.ingest.accept(given[at : at + BATCH], "bench")

    def ours() -> float:
        waiting()
        return stage.rate(EVALUATIONS, account.is_evaluated)

    def by_hand() -> float:
        waiting()
        queue = stage.parts.queue()
        evaluator = Evaluator(stage.parts.app, "by hand", stage.parts.policy, stage.parts.routes)
        started = time.monotonic()
        done = 0
        while done < EVALUATIONS:
            entries = [entry for entry in queue.read(BATCH, timedelta(seconds=1)) if isinstance(entry, Entry)]
            evaluator.evaluate([Work(entry.candidate_id, entry.generation, entry) for entry in entries], "bench")
            queue.finish([entry.entry_id for entry in entries])
            done += len(entries)
        queue.close()
        return EVALUATIONS / (time.monotonic() - started)

    return ours, by_hand


def ingest(stage: Stage) -> tuple[Rate, Rate]:
    """Batches of failures stored and their hints sent. By hand: the statement alone."""

    def store(one: Callable[[list[object]], object]) -> float:
        given = stage.failures(INGESTED)
        started = time.monotonic()
        for at in range(0, len(given), BATCH):
            one(list(given[at : at + BATCH]))
        return INGESTED / (time.monotonic() - started)

    def ours() -> float:
        return store(lambda batch: stage.parts.ingest.accept(batch, "bench"))  # type: ignore[arg-type]

    def by_hand() -> float:
        return store(lambda batch: failures.ingest(stage.parts.app, batch, "bench"))  # type: ignore[arg-type]

    return ours, by_hand


def deliveries(stage: Stage) -> tuple[Rate, Rate]:
    """Open events claimed under the lease, signed, sent by ten workers, completed. By hand: ten threads that only
    sign and send.
    """
    workers = stage.parts.settings.outbox.max_concurrent_http

    def publish() -> None:
        for number in range(DELIVERIES):
            payload = json.dumps({"webhook_url": stage.receiver.url, "data": {"number": number}})
            stage.parts.app.rows("publish_outbox", {"aggregate_id": str(number), "payload": payload})

    def ours() -> float:
        publish()
        return stage.rate(DELIVERIES, account.is_settled)

    def by_hand() -> float:
        publish()
        epoch = acquire(stage.parts.app, OUTBOX_LOCK, "by hand", timedelta(minutes=1))
        assert epoch is not None, "nobody else holds the lock here"
        claimed = outbox.claim(stage.parts.app, "by hand", epoch, DELIVERIES)
        deliverer: Deliverer = stage.parts.deliverer
        events = [
            Event(
                e.id,
                e.event_uuid,
                e.aggregate_type,
                e.aggregate_id,
                e.event_type,
                e.payload.encode(),
                e.destination,
                0,
                e.idempotency_key,
            )
            for e in claimed
        ]
        started = time.monotonic()
        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(lambda event: deliverer.deliver(event, epoch), events))
        seconds = time.monotonic() - started
        outbox.complete(stage.parts.app, "by hand", epoch, [Completion(event.id, "delivered") for event in events])
        release(stage.parts.app, OUTBOX_LOCK, "by hand", epoch)
        return len(events) / seconds

    return ours, by_hand
