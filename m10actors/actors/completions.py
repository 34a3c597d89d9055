"""Between the outbox and delivery: what a claimed event is to the one, an outcome to the other. Pure."""

from datetime import timedelta
from typing import Literal, assert_never

from m10actors.delivery import Dead, Delivered, Event, Held, Outcome, ReceiverAhead, Retry
from m10actors.postgres.outbox import ClaimedEvent, Completion

WORKER_CRASHED = Retry("the delivery worker crashed during the attempt", counted=True)
"""Such an attempt may have reached its receiver, so it counts."""


def completion(event_id: int, outcome: Outcome | Held, seconds: float | None) -> Completion:
    """The completion of an event after one attempt (or none), which took `seconds` if that is known."""
    attempt: dict[str, object] = {} if seconds is None else {"ms": round(seconds * 1000)}
    match outcome:
        case Delivered(status, running, excerpt):
            answer = {"status": status, "answer": excerpt}
            return Completion(event_id, "running" if running else "delivered", result=answer, attempt=attempt | answer)
        case Retry(error, counted, retry_after, status):
            told = attempt | ({} if status is None else {"status": status})
            return Completion(event_id, "failed" if counted else "unreachable", error, retry_after, attempt=told)
        case Dead(reason, status, excerpt, pause_destination):
            answer = {"status": status, "answer": excerpt}
            return Completion(
                event_id, "gone" if pause_destination else "dead", reason, result=answer, attempt=attempt | answer
            )
        case ReceiverAhead(status, excerpt):
            told = attempt | {"status": status, "answer": excerpt}
            return Completion(event_id, "failed", "receiver_ahead", attempt=told)
        case Held(why, wait):
            kind: Literal["cut_off", "held"] = "cut_off" if why == "breaker_open" else "held"
            return Completion(event_id, kind, why, timedelta(seconds=wait))
        case _:
            assert_never(outcome)


def event_of(claimed: ClaimedEvent) -> Event:
    """A claimed event as delivery takes it: the payload as the bytes that PostgreSQL printed."""
    return Event(
        id=claimed.id,
        event_uuid=claimed.event_uuid,
        aggregate_type=claimed.aggregate_type,
        aggregate_id=claimed.aggregate_id,
        event_type=claimed.event_type,
        payload=claimed.payload.encode(),
        destination=claimed.destination,
        retry_count=claimed.retry_count,
        idempotency_key=claimed.idempotency_key,
        by_itself=claimed.by_itself,
    )
