"""The outbox of a destination that is left alone: its events wait, spend nothing, and go when it is back."""

import pipeline_kit
from pipeline_kit import World, running
from test_pipeline_outbox import events, publish, wake

from m10actors.testing.receiver import Answer
from m10actors.testing.waiting import eventually

world = pipeline_kit.world
KEYS = {"destinations__receiver__breaker_failures": 1, "destinations__receiver__breaker_pause": "1s"}


def test_events_behind_an_open_breaker_spend_no_attempt_and_all_go_when_the_receiver_is_back(world: World) -> None:
    world.receiver.answer = lambda _: Answer(503)
    with running(world, outbox__retry_schedule=["1h"] * 5, outbox__max_age="10d", **KEYS) as engine:
        publish(world, "first", 1)
        wake(engine)
        eventually(lambda: world.receiver.ledger.total == 1 and events(world)[0][2] == 1)
        for number in range(5):
            publish(world, str(number), number)
        wake(engine)
        eventually(lambda: all(error == "held_back: breaker_open" for *_, error in events(world)[1:]))
        assert [(dead, retries) for _, dead, retries, _ in events(world)[1:]] == [(False, 0)] * 5
        assert world.receiver.ledger.total == 1
        assert engine.parts.live.gate.held() == {"receiver"}

        world.receiver.answer = lambda _: Answer(200)

        def are_delivered() -> bool:
            world.sql("UPDATE m10_recovery.outbox SET process_after = now() WHERE processed_at IS NULL")
            wake(engine)
            return all(done for done, *_ in events(world))

        eventually(are_delivered, within=20)
        assert [retries for _, _, retries, _ in events(world)] == [1, 0, 0, 0, 0, 0]
        assert not world.receiver.ledger.changed()
