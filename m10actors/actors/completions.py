"""What the outcome of an attempt becomes in the outbox. Pure."""

from typing import assert_never

from m10actors.delivery import Dead, Delivered, Outcome, ReceiverAhead, Retry
from m10actors.postgres.outbox import Completion

WORKER_CRASHED = Retry("the delivery worker crashed during the attempt", counted=True)
"""Such an attempt may have reached its receiver, so it counts."""


def completion(event_id: int, outcome: Outcome) -> Completion:
    """The completion of an event after one attempt."""
    match outcome:
        case Delivered(status, running, excerpt):
            return Completion(
                event_id, "running" if running else "delivered", result={"status": status, "answer": excerpt}
            )
        case Retry(error, counted, retry_after):
            return Completion(event_id, "failed" if counted else "unreachable", error, retry_after)
        case Dead(reason, status, excerpt):
            return Completion(event_id, "dead", reason, result={"status": status, "answer": excerpt})
        case ReceiverAhead():
            return Completion(event_id, "failed", "receiver_ahead")
        case _:
            assert_never(outcome)
