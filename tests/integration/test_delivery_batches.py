"""Several events in one signed request: an outcome for each, and none that suffers for another for long."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pipeline_kit
import pytest
from delivery_kit import deliverer, destination, event
from pipeline_kit import World, running
from standardwebhooks.webhooks import Webhook
from test_delivery_held_back import addressed
from test_pipeline_outbox import events, wake

from m10actors.delivery import Dead, Delivered, Deliverer, Event, Retry
from m10actors.receiver import Delivery, SqliteStore
from m10actors.receiver import Receiver as Helper
from m10actors.recovery import batch
from m10actors.recovery.batch import Item, Word
from m10actors.testing.receiver import Answer, Receiver, Request
from m10actors.testing.waiting import eventually

world = pipeline_kit.world
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLjSw"
THREE = [event(id, b'{"data": {"n": %d}}' % id) for id in (1, 2, 3)]  # noqa: A001


def says(word: Callable[[Item], Word | None]) -> Callable[[Request], Answer]:
    """A receiver that says this of each event."""

    def answer(request: Request) -> Answer:
        words = {item.event_id: word(item) for item in batch.decode(request.body)}
        return Answer(body=batch.encode_words({event: word for event, word in words.items() if word is not None}))

    return answer


def outcomes(answer: Callable[[Request], Answer], given: Sequence[Event] = THREE) -> list[object]:
    with Receiver(answer=answer) as receiver, deliverer(destination(receiver.url, batch=10)) as to:
        return list(to.deliver_together(given, 1))


def test_one_signed_request_carries_them_all() -> None:
    taken: list[Request] = []

    def answer(request: Request) -> Answer:
        taken.append(request)
        return Answer(body=batch.encode_words({item.event_id: Word(200) for item in batch.decode(request.body)}))

    with Receiver(answer=answer) as receiver, deliverer(destination(receiver.url, batch=10, secrets=(SECRET,))) as to:
        told = to.deliver_together(THREE, 7)
    [request] = taken
    assert [type(each) for each in told] == [Delivered] * 3
    assert Webhook(SECRET).verify(request.body, dict(request.headers.items()))["version"] == 1
    assert (request.headers.get_content_type(), request.token) == (batch.CONTENT_TYPE, 7)
    assert [(item.idempotency_key, item.body) for item in batch.decode(request.body)] == [
        (each.idempotency_key, b'{"n": %d}' % each.id) for each in THREE
    ]


def test_each_event_has_its_own_outcome() -> None:
    words = {1: Word(200, body=b'{"status": "running"}'), 2: Word(503, "40"), 3: Word(422, body=b'"no"')}
    running, retried, dead = outcomes(says(lambda item: words[item.event_id.int]))
    assert isinstance(running, Delivered)
    assert running.running
    assert isinstance(retried, Retry)
    assert (retried.counted, retried.retry_after) == (True, timedelta(seconds=40))
    assert isinstance(dead, Dead)
    assert dead.reason == "http_422"


def test_an_event_that_the_answer_says_nothing_of_is_tried_again() -> None:
    told = outcomes(says(lambda item: Word(200) if item.event_id == UUID(int=2) else None))
    assert [type(each) for each in told] == [Retry, Delivered, Retry]
    assert all(isinstance(each, Retry) and each.counted for each in outcomes(lambda _: Answer(body=b"ok")))


def test_a_request_that_is_refused_is_repeated_event_by_event_so_that_only_the_bad_one_dies() -> None:
    def answer(request: Request) -> Answer:
        items = batch.decode(request.body)
        if any(item.event_id == UUID(int=2) for item in items):
            return Answer(422)
        return Answer(body=batch.encode_words({item.event_id: Word(200) for item in items}))

    with Receiver(answer=answer) as receiver, deliverer(destination(receiver.url, batch=10)) as to:
        assert [to.batch_size(each) for each in THREE] == [10, 10, 10]
        assert [type(each) for each in to.deliver_together(THREE, 1)] == [Retry] * 3
        again = [replace(each, retry_count=1) for each in THREE]
        assert [to.batch_size(each) for each in again] == [1, 1, 1]
        assert [type(to.deliver(each, 1)) for each in again] == [Delivered, Dead, Delivered]


def test_what_names_no_destination_or_is_no_webhook_goes_alone() -> None:
    with deliverer(destination("http://127.0.0.1:9/", batch=10)) as to:
        http = Event(1, UUID(int=1), "a", "1", "http:x", b'{"body": "text"}', "ops", 0, "0" * 32)
        assert to.batch_size(http) == 1
        addressed_by_url = Event(1, UUID(int=1), "a", "1", "webhook:x", b"{}", None, 0, "0" * 32)
        assert to.batch_size(addressed_by_url) == 1


def test_the_helper_of_receivers_carries_each_event_out_once_and_says_what_became_of_it(tmp_path: Path) -> None:
    helper = Helper([SECRET], SqliteStore(tmp_path / "store.db"))
    seen: list[object] = []

    def carry_out(delivery: Delivery) -> None:
        seen.append(delivery.json())
        if delivery.json() == {"n": 2} and seen.count({"n": 2}) == 1:
            raise OSError("no disk")

    def answer(request: Request) -> Answer:
        said = helper.take(dict(request.headers.items()), request.body, carry_out)
        return Answer(said.status, body=said.body)

    with Receiver(answer=answer) as receiver, deliverer(destination(receiver.url, batch=10, secrets=(SECRET,))) as to:
        assert [type(each) for each in to.deliver_together(THREE, 1)] == [Delivered, Retry, Delivered]
        assert [type(each) for each in to.deliver_together(THREE, 1)] == [Delivered] * 3
    assert seen == [{"n": 1}, {"n": 2}, {"n": 3}, {"n": 2}]


def test_a_body_that_only_claims_to_be_a_batch_is_refused(tmp_path: Path) -> None:
    helper = Helper([SECRET], SqliteStore(tmp_path / "store.db"))
    body = json.dumps({"version": 1}).encode()
    with Receiver() as receiver, deliverer(destination(receiver.url, secrets=(SECRET,))) as to:
        taken: list[Request] = []
        receiver.answer = lambda request: (taken.append(request), Answer())[1]
        to.deliver(event(1, b'{"data": %s}' % body), 1)
    claimed = dict(taken[0].headers.items()) | {"Content-Type": batch.CONTENT_TYPE}
    assert helper.take(claimed, taken[0].body, lambda _: None).status == 422


def test_the_engine_delivers_a_backlog_in_few_requests(world: World) -> None:
    requests: list[Request] = []
    world.receiver.on_delivery = lambda request, _: requests.append(request)
    addressed(world, 60)
    with running(
        world, destinations__receiver__batch=20, outbox__max_concurrent_http=1, outbox__poll_interval="20ms"
    ) as engine:
        wake(engine)
        eventually(lambda: all(done for done, *_ in events(world)))
    assert world.receiver.ledger.total == 60
    assert len({request.number for request in requests}) < 20


def test_an_event_that_crashes_its_worker_takes_the_others_of_its_batch_along_only_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Deliverer.deliver_together

    def deliver(deliverer: Deliverer, given: Sequence[Event], epoch: int) -> Any:
        if any(b"POISON" in each.payload for each in given):
            raise RecursionError
        return real(deliverer, given, epoch)

    monkeypatch.setattr(Deliverer, "deliver_together", deliver)
    addressed(world, 10)
    world.sql("UPDATE m10_recovery.outbox SET payload = '{\"data\": \"POISON\"}' WHERE aggregate_id = 'a3'")
    with running(
        world, destinations__receiver__batch=20, outbox__max_concurrent_http=1, outbox__poll_interval="20ms"
    ) as engine:
        wake(engine)
        eventually(lambda: all(done or dead for done, dead, *_ in events(world)))
    assert sorted(dead for _, dead, *_ in events(world)) == [False] * 9 + [True]
    assert world.sql("SELECT max(retry_count) FROM m10_recovery.outbox WHERE dead_at IS NULL") == [(1,)]
