"""The outbox of a destination that is left alone: its events wait, spend nothing, and go when it is back."""

from typing import Any

import pipeline_kit
from pipeline_kit import Engine, World, running
from test_pipeline_outbox import events, publish, wake

from m10actors.delivery import Condition
from m10actors.testing.receiver import Answer
from m10actors.testing.waiting import eventually

world = pipeline_kit.world
KEYS: dict[str, Any] = {
    "destinations__receiver__breaker_failures": 3,
    "destinations__receiver__breaker_pause": "20ms",
    "destinations__receiver__breaker_pause_max": "100ms",
    "outbox__max_concurrent_http": 3,
    "outbox__retry_schedule": ["1h"] * 5,
    "outbox__max_age": "10d",
    "outbox__poll_interval": "20ms",
}
LONG = {"destinations__receiver__breaker_pause": "5m", "destinations__receiver__breaker_pause_max": "5m"}


def addressed(world: World, count: int) -> None:
    """Events for the destination by its name."""
    for number in range(count):
        publish(world, f"a{number}", number)
    world.sql("UPDATE m10_recovery.outbox SET destination = 'receiver'")


def condition(engine: Engine) -> Condition:
    [only] = engine.parts.live.destinations()
    return only


def all_due(world: World) -> None:
    world.sql("UPDATE m10_recovery.outbox SET process_after = now() WHERE processed_at IS NULL AND claimed_at IS NULL")


def all_go(world: World) -> None:
    def are_delivered() -> bool:
        all_due(world)
        return all(done for done, *_ in events(world))

    eventually(are_delivered, within=20)


def test_an_outage_costs_no_event_and_no_attempt_but_those_that_opened_the_breaker(world: World) -> None:
    """An hour of it, at a scale at which the breaker's pauses are milliseconds."""
    world.receiver.answer = lambda _: Answer(503)
    with running(world, **KEYS) as engine:
        addressed(world, 40)
        wake(engine)
        eventually(lambda: condition(engine).breaker != "closed")
        world.receiver.stop()
        answered = condition(engine).failed

        def is_probed() -> bool:
            all_due(world)
            return condition(engine).failed >= answered + 5

        eventually(is_probed)
        assert not any(dead for _, dead, *_ in events(world))
        world.receiver.answer = lambda _: Answer(200)
        world.receiver.start()
        all_go(world)
        seen = condition(engine)
    [(counted, not_counted, attempts, letters)] = world.sql(
        "SELECT sum(retry_count), sum(unreachable_count), sum(jsonb_array_length(attempts)),"
        " (SELECT count(*) FROM m10_recovery.dead_letter_archive) FROM m10_recovery.outbox"
    )
    assert 3 <= counted <= answered + 1  # a probe may have been on its way
    assert (counted + not_counted, attempts, letters) == (seen.failed, seen.failed + 40, 0)
    assert not world.receiver.ledger.changed()


def test_events_whose_destination_is_found_by_their_address_are_sent_back_at_no_cost(world: World) -> None:
    world.receiver.answer = lambda _: Answer(503)
    with running(world, **KEYS | LONG) as engine:
        for number in range(3):
            publish(world, str(number), number)
        wake(engine)
        eventually(lambda: [retries for _, _, retries, _ in events(world)] == [1, 1, 1])
        publish(world, "late", 4)
        wake(engine)
        moved = (
            "SELECT process_after > now() + interval '1 minute', unreachable_count, attempts FROM m10_recovery.outbox"
        )
        eventually(lambda: world.sql(f"{moved} ORDER BY id")[-1] == (True, 0, []))
        assert events(world)[-1] == (False, False, 0, None)
        assert list(engine.parts.live.gate.held()) == ["receiver"]


def test_a_backlog_that_is_older_than_the_longest_age_waits_for_its_turn_as_any_other(world: World) -> None:
    """The engine was away for a week; the receiver is well, and takes one at a time."""
    addressed(world, 30)
    world.sql("UPDATE m10_recovery.outbox SET created_at = now() - interval '7 days'")
    with running(world, **KEYS | {"outbox__max_age": "3d", "destinations__receiver__concurrency": 1}) as engine:
        wake(engine)
        all_go(world)
    assert [dead for _, dead, *_ in events(world)] == [False] * 30


def test_a_receiver_that_is_gone_is_told_of_no_more_events_than_are_on_their_way(world: World) -> None:
    world.receiver.answer = lambda _: Answer(410)
    addressed(world, 40)
    with running(world, **KEYS | LONG) as engine:
        wake(engine)
        eventually(lambda: any(dead for _, dead, *_ in events(world)))
    assert world.receiver.ledger.total <= 3
    assert sum(dead for _, dead, *_ in events(world)) == world.receiver.ledger.total


def test_a_receiver_that_asks_for_time_hears_of_one_event_and_of_no_other_until_then(world: World) -> None:
    world.receiver.answer = lambda _: Answer(429, {"retry-after": "120"})
    with running(world, **KEYS | {"outbox__max_concurrent_http": 1}) as engine:
        addressed(world, 20)
        wake(engine)
        eventually(lambda: condition(engine).closed_because == "retry_after")
        assert 60 < condition(engine).closed_seconds <= 120
        publish(world, "late", 21)
        world.sql("UPDATE m10_recovery.outbox SET destination = 'receiver' WHERE aggregate_id = 'late'")
        wake(engine)
        eventually(lambda: not world.sql("SELECT 1 FROM m10_recovery.outbox WHERE claimed_at IS NOT NULL"))
        assert sum(retries for _, _, retries, _ in events(world)) == world.receiver.ledger.total == 1
