"""The outbox: one leader, any number of engines; in order, under one key, and never dropped."""

import json
import random
import threading
from collections import defaultdict
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pipeline_kit
from pipeline_kit import Engine, World, feed, running, start

from m10actors.actors.messages import Wake
from m10actors.testing.receiver import TAKEN, Answer, Request
from m10actors.testing.waiting import eventually

world = pipeline_kit.world
LONG: dict[str, Any] = {"outbox__lock_ttl": "1h", "outbox__claim_takeover": "1h"}
EPOCH = "SELECT epoch FROM m10_recovery.lock_epoch WHERE lock_name = 'm10:outbox_processor'"


def publish(world: World, aggregate: str, number: int, kind: str = "webhook:test") -> int:
    """An event of another program."""
    [(event,)] = world.sql(
        "SELECT m10_recovery.publish_outbox('thing', %s, %s, jsonb_build_object("
        "'webhook_url', %s::text, 'data', jsonb_build_object('aggregate', %s::text, 'number', %s::int)))",
        aggregate, kind, world.receiver.url, aggregate, number,
    )  # fmt: skip
    return int(event)


def wake(engine: Engine) -> None:
    engine.tree.tell("outbox_leader", Wake())


def events(world: World) -> list[tuple[Any, ...]]:
    """(done, dead, retry_count, last_error) of each, in order."""
    return world.sql(
        "SELECT processed_at IS NOT NULL, dead_at IS NOT NULL, retry_count, last_error"
        " FROM m10_recovery.outbox ORDER BY id"
    )


def all_done(world: World) -> None:
    eventually(lambda: all(done or dead for done, dead, *_ in events(world)), within=20)


def recording(world: World, decide: Callable[[Request, int], Answer] = lambda *_: TAKEN) -> list[Request]:
    """Every request that comes; `decide` is told how many came before."""
    seen: list[Request] = []
    lock = threading.Lock()

    def answer(request: Request) -> Answer:
        with lock:
            seen.append(request)
            before = len(seen) - 1
        return decide(request, before)

    world.receiver.answer = answer
    return seen


def test_events_of_one_aggregate_keep_their_order_also_through_failures(world: World) -> None:
    chance = random.Random(3)
    taken: dict[str, list[int]] = defaultdict(list)

    def decide(request: Request, _before: int) -> Answer:
        if chance.random() < 0.3:
            return Answer(500)
        body = json.loads(request.body)
        taken[body["aggregate"]].append(body["number"])
        return TAKEN

    recording(world, decide)
    for number in range(12):
        for aggregate in ("a", "b", "c"):
            publish(world, aggregate, number)
    with running(world, outbox__poll_interval="5ms", outbox__max_retries=30, outbox__retry_schedule=["1ms"] * 30):
        all_done(world)
    assert taken == {aggregate: list(range(12)) for aggregate in "abc"}


def test_a_retry_has_the_same_key_and_the_same_bytes(world: World) -> None:
    seen = recording(world, lambda _, before: Answer(500, body=b"\x00\xffno") if before < 2 else TAKEN)
    with running(world, outbox__poll_interval="5ms") as engine:
        engine.ingest([1])
        world.sound(1)
    assert len(seen) == 3
    assert len({(request.key, request.body) for request in seen}) == 1
    [(done, _, retries, error)] = events(world)
    assert (done, retries) == (True, 2)
    assert error.startswith("http_500")


def test_after_its_last_retry_an_event_is_a_dead_letter_and_its_execution_has_failed(world: World) -> None:
    recording(world, lambda *_: Answer(500))
    with running(world, outbox__poll_interval="5ms") as engine:
        engine.ingest([1])
        eventually(lambda: world.stores().dead == 1)
        assert events(world) == [(False, True, 6, "http_500")]
        assert world.sql("SELECT execution_status FROM public.recovery_candidates") == [("failed",)]
        assert [(letter[0], letter[2]) for letter in world.dead_letters()] == [("http_500", 6)]


def test_a_receiver_that_cannot_be_reached_costs_no_attempt(world: World) -> None:
    url = world.receiver.url
    world.receiver.stop()
    with running(world) as engine:
        engine.ingest([1])
        eventually(lambda: world.sql("SELECT unreachable_count FROM m10_recovery.outbox") == [(1,)])
        assert world.receiver.start() == url
        world.sql("UPDATE m10_recovery.outbox SET process_after = now()")
        wake(engine)
        world.sound(1)
    assert [retries for _, _, retries, _ in events(world)] == [0]


def test_a_receiver_that_is_gone_is_not_called_again_until_somebody_says_so(world: World) -> None:
    seen = recording(world, lambda _, before: Answer(410) if before == 0 else TAKEN)
    with running(world, outbox__poll_interval="5ms", outbox__max_concurrent_http=1) as engine:
        engine.ingest([1])
        eventually(lambda: events(world) == [(False, True, 0, "http_410")])
        assert world.sql("SELECT name, reason FROM m10_recovery.paused_destination") == [("receiver", "http_410")]
        engine.ingest([2, 3])
        eventually(lambda: world.stores().published == 3)
        publish(world, "other", 1, "notify:nobody")  # what is not for that destination goes on
        eventually(lambda: events(world)[-1][1])
        assert len(seen) == 1
        world.sql("DELETE FROM m10_recovery.paused_destination")
        all_done(world)
    assert len(seen) == 3


def test_an_event_of_an_unknown_type_or_destination_is_a_dead_letter_and_the_others_go_on(world: World) -> None:
    publish(world, "a", 1, "pigeon:post")
    publish(world, "b", 1, "webhook")
    for aggregate, payload in (("c", '{"webhook_url": "http://10.0.0.1/", "data": 1}'), ("d", "[]")):
        world.sql("SELECT m10_recovery.publish_outbox('thing', %s, 'webhook:x', %s)", aggregate, payload)
    publish(world, "e", 1)
    with running(world) as engine:
        all_done(world)
        assert [(done, error) for done, _, _, error in events(world)] == [
            (False, "unknown_event_type"),
            (False, "unknown_event_type"),
            (False, "destination_not_allowed"),
            (False, "invalid_payload"),
            (True, None),
        ]
        assert set(engine.restarts().values()) == {0}


def test_a_receiver_that_claims_to_have_seen_a_newer_leader_is_wrong_and_it_counts(world: World) -> None:
    recording(world, lambda _, before: Answer(412) if before == 0 else TAKEN)
    with running(world, outbox__poll_interval="5ms", outbox__lock_ttl="1h") as engine:
        engine.ingest([1])
        world.sound(1)
        assert [event[2:] for event in events(world)] == [(1, "receiver_ahead")]
        assert world.sql(EPOCH) == [(1,)]
        assert engine.restarts()["outbox_leader"] == 0


def test_a_receiver_that_has_seen_a_newer_leader_is_right_and_no_attempt_is_spent(world: World) -> None:
    def decide(_request: Request, before: int) -> Answer:
        if before:
            return TAKEN
        usurp(world)
        return Answer(412)

    seen = recording(world, decide)
    with running(world, outbox__poll_interval="5ms", **LONG) as engine:
        engine.ingest([1])
        eventually(lambda: engine.doing("outbox_leader") == "standing by")
        assert [event[2:] for event in events(world)] == [(0, None)]
        world.sql("SELECT m10_recovery.release_lock('m10:outbox_processor', 'usurper')")
        world.sound(1)
        assert [event[2:] for event in events(world)] == [(0, None)]
        assert engine.restarts()["outbox_leader"] == 0
    assert [request.token for request in seen] == [1, 3]


def usurp(world: World) -> None:
    """Another leader takes the lock, as if this one had been paused past its lease."""
    world.sql(
        "DO $$ BEGIN DELETE FROM m10_recovery.distributed_locks;"
        " PERFORM m10_recovery.acquire_lock('m10:outbox_processor', 'usurper', 3600); END $$"
    )


def test_a_leader_whose_lock_is_taken_away_writes_nothing_more_and_loses_nothing(world: World) -> None:
    """T79, T86: its attempts are answered while another leads."""
    go = threading.Event()

    def decide(_request: Request, before: int) -> Answer:
        if before < 3:
            go.wait(20)
        return TAKEN

    seen = recording(world, decide)
    with running(world, outbox__max_concurrent_http=3, **LONG) as engine:
        engine.ingest(range(8))
        eventually(lambda: len(seen) == 3)
        usurp(world)
        go.set()
        eventually(lambda: engine.doing("outbox_leader") == "standing by")
        assert not any(done or retries for done, _, retries, _ in events(world))
        world.sql("SELECT m10_recovery.release_lock('m10:outbox_processor', 'usurper')")
        world.sound(8, twice_allowed=True)
        assert engine.restarts()["outbox_leader"] == 0


def test_a_leader_whose_lock_row_vanishes_is_elected_again(world: World) -> None:
    with running(world, **LONG) as engine:
        feeder = feed(engine, 60)
        for part in range(1, 4):
            eventually(lambda: world.stores().delivered > part * 10)  # noqa: B023
            world.sql("DELETE FROM m10_recovery.distributed_locks")
        feeder.join(20)
        world.sound(60, twice_allowed=True)
        world.sql("DELETE FROM m10_recovery.distributed_locks")
        engine.ingest([60])  # whenever those before were delivered
        world.sound(61, twice_allowed=True)
        assert world.sql(EPOCH)[0][0] > 1
        assert engine.restarts()["outbox_leader"] == 0


def test_two_engines_share_the_work_under_one_leader_and_a_drain_hands_it_over_at_once(world: World) -> None:
    seen = recording(world)
    with ExitStack() as undo:
        first = start(world, intake__batch_size=3, **LONG)
        undo.callback(first.stop)
        eventually(lambda: first.doing("outbox_leader").startswith("leader"))
        with running(world, intake__batch_size=3, outbox__poll_interval="5ms", **LONG) as second:
            feeders = [feed(first, 60)]
            second.ingest(range(100, 150))
            feeders[0].join(20)
            eventually(lambda: world.stores().evaluated == 110)
            assert second.doing("outbox_leader") == "standing by"
            done_by = world.sql(
                "SELECT DISTINCT split_part(actor, '/', 1) FROM m10_recovery.suggestion_provenance"
                " WHERE event_type = 'executed'"
            )
            assert {name for (name,) in done_by} == {first.parts.worker, second.parts.worker}
            wake(first)
            world.sound(110)
            assert {request.token for request in seen} == {1}
            undo.pop_all().close()
            second.ingest([200])
            world.sound(111)
            assert seen[-1].token == 2
            world.stream_is_empty()
            assert set(second.restarts().values()) == {0}


def test_what_another_engine_publishes_is_delivered_by_the_leader(world: World) -> None:
    with running(world, outbox__poll_interval="5ms") as leader:
        eventually(lambda: leader.doing("outbox_leader").startswith("leader"))
        other = start(world)
        try:
            eventually(lambda: other.doing("outbox_leader") == "standing by")
            for number in range(20):
                publish(world, str(number), number)
            all_done(world)
        finally:
            other.stop()
