"""What logs and metrics say of outcomes that have been written."""

from collections.abc import Sequence

from m10actors import logs, metrics
from m10actors.actors.completions import completion
from m10actors.delivery import Dead, Event, Held, Outcome, ReceiverAhead
from m10actors.postgres.outbox import Settled

log = logs.logger(__name__)


def report(outcomes: Sequence[tuple[Event, Outcome | Held]], settled: Sequence[Settled], epoch: int) -> None:
    """`settled`: how the events stand now. One that only waited for its destination is neither delivered nor failed."""
    waited = set()
    causes = {event.id: (event.destination, completion(event.id, outcome, None).error) for event, outcome in outcomes}
    for event, outcome in outcomes:
        match outcome:
            case ReceiverAhead():  # so it said; PostgreSQL says that nobody has a newer epoch
                log.error("receiver_ahead", destination=event.destination, event_id=event.id, epoch=epoch)
            case Dead(reason, pause_destination=True) if event.destination:
                log.error("destination_paused", destination=event.destination, reason=reason)
            case Held():
                waited.add(event.id)
    for done in settled:
        if done.state == "dead":
            metrics.ARCHIVED.labels("outbox").inc()
            destination, why = causes[done.event_id]
            log.warning(
                "event_dead", event_id=done.event_id, event_type=done.event_type, destination=destination, reason=why
            )
        if done.execution is not None:
            metrics.EXECUTION_OUTCOMES.labels(done.execution).inc()
        if done.next_event_type is not None:
            metrics.PUBLISHED.labels("recovery_candidate", metrics.event_type_label(done.next_event_type)).inc()
        if done.state != "retry" or done.event_id not in waited:
            counter = metrics.DELIVERED if done.state == "done" else metrics.FAILED
            labels = metrics.aggregate_label(done.aggregate_type), metrics.event_type_label(done.event_type)
            counter.labels(*labels).inc()
