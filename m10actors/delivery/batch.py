"""Several events of one destination in one request (recovery/batch.py has its form). Pure."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from m10actors.delivery.compose import Call
from m10actors.delivery.event import Event
from m10actors.delivery.outcome import Answer, Delivered, Outcome, Retry, classify
from m10actors.delivery.text import excerpt
from m10actors.recovery import batch
from m10actors.recovery.batch import Item

_REFUSED = frozenset({400, 413, 422})
"""What says that a request will never be taken: a batch maybe because of one of its events."""


def is_item(event: Event) -> bool:
    """Whether the event goes as one of a batch: it names its destination, and its body is JSON as it stands."""
    return event.destination is not None and event.event_type.startswith("webhook:")


def goes_together(event: Event) -> bool:
    """Whether it may share a batch. Only first attempts do: what was tried before may be what was wrong with a batch,
    and takes nobody along a second time.
    """
    return is_item(event) and not event.retry_count


def together(calls: Sequence[tuple[Event, Call]]) -> tuple[Call, UUID, str]:
    """The one request for events of one destination, the id of its message and its key."""
    items = [Item(event.event_uuid, event.idempotency_key, event.event_type, call.body) for event, call in calls]
    first = calls[0][1]
    headers = {**first.headers, "content-type": batch.CONTENT_TYPE}
    return replace(first, headers=headers, body=batch.encode(items)), batch.batch_id(items), batch.batch_key(items)


def told_apart(events: Sequence[Event], call: Call, answer: Answer, now: datetime) -> list[Outcome]:
    """What the answer to a batch means for each of its events."""
    if not 200 <= answer.status < 300:
        if len(events) > 1 and answer.status in _REFUSED:
            return [Retry(f"http_{answer.status} of a batch", counted=True, status=answer.status)] * len(events)
        return [classified(call, answer, now)] * len(events)
    words = batch.decode_words(answer.body)
    return [_of_word(words.get(event.event_uuid), call, answer.status, now) for event in events]


def classified(call: Call, answer: Answer, now: datetime) -> Outcome:
    """What the answer to one request means."""
    shown = excerpt(answer.body, call.destination.credentials)
    return classify(answer, call.destination.on_conflict, shown, now)


def of_all(outcomes: Sequence[Outcome]) -> Outcome:
    """What the gate learns of a batch: that the receiver is well if it took any of it."""
    return next((each for each in outcomes if isinstance(each, Delivered)), outcomes[0])


def _of_word(word: batch.Word | None, call: Call, status: int, now: datetime) -> Outcome:
    if word is None:
        return Retry("the answer to the batch says nothing of this event", counted=True, status=status)
    return classified(call, Answer(word.status, word.retry_after, word.body), now)
