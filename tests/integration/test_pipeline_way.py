"""The way of one failure through the real tree, woken from step to step."""

import pipeline_kit
from pipeline_kit import World, running

world = pipeline_kit.world


def test_one_failure_goes_from_ingest_to_its_receiver_without_a_poll(world: World) -> None:
    with running(world) as engine:
        engine.ingest([1])
        world.sound(1)
        world.stream_is_empty()
