"""The sweep takes what no entry of the stream tells of, whatever else lies in the stream, and leaves the rest to it."""

import time
from collections.abc import Sequence
from typing import Any

import pipeline_kit
from pipeline_kit import NAMES, World, running

from m10actors.testing.waiting import eventually

world = pipeline_kit.world
NOBODY = 999_999
SWEPT: dict[str, Any] = {"intake__sweep_after": "50ms", "intake__poll_interval": "50ms"}


def in_other_hands(world: World, candidates: Sequence[int], minutes: int) -> None:
    """Entries that were added so long ago, and that another consumer has just been given."""
    added_ms = int(time.time() * 1000) - minutes * 60_000
    for number, candidate in enumerate(candidates):
        fields = {"candidate_id": candidate, "message_id": f"{candidate}:1"}
        world.raw.xadd(NAMES.stream, fields, id=f"{added_ms}-{number}")
    world.raw.xreadgroup(NAMES.group, "another", {NAMES.stream: ">"}, count=len(candidates))


def due_for(world: World, candidate: int, minutes: int) -> None:
    world.sql(
        "UPDATE public.recovery_candidates SET due_at = clock_timestamp() - make_interval(mins => %s) WHERE id = %s",
        minutes,
        candidate,
    )


def due(world: World) -> list[int]:
    """The candidates whose evaluation is due."""
    query = "SELECT id FROM public.recovery_candidates WHERE generation > evaluated_generation ORDER BY id"
    return [row[0] for row in world.sql(query)]


def test_what_has_no_entry_is_swept_however_long_an_older_entry_stays_in_the_stream(world: World) -> None:
    in_other_hands(world, [NOBODY], minutes=30)
    world.upsert(1)
    with running(world, **SWEPT):
        eventually(lambda: due(world) == [])
        assert world.stream() == (1, 1)


def test_who_has_to_make_the_consumer_group_sweeps_what_was_due_before(world: World) -> None:
    """On new servers, or on a Redis that was emptied while no engine ran."""
    world.raw.delete(NAMES.stream)
    world.upsert(3)
    with running(world):
        assert world.settled(3).evaluated == 3


def test_what_an_entry_tells_of_is_left_to_it_for_an_hour(world: World) -> None:
    told, untold = world.upsert(2)
    in_other_hands(world, [told], minutes=30)
    due_for(world, told, minutes=30)
    with running(world, **SWEPT):
        eventually(lambda: untold not in due(world))
        assert due(world) == [told], "it was due for longer, and would have been taken first"
        due_for(world, told, minutes=61)
        eventually(lambda: due(world) == [])


def test_behind_many_entries_that_stay_only_what_is_older_than_the_rest_of_the_stream_is_swept(world: World) -> None:
    told, untold = world.upsert(2)
    in_other_hands(world, [NOBODY] * 100, minutes=30)
    in_other_hands(world, [told], minutes=20)
    due_for(world, told, minutes=20)
    due_for(world, untold, minutes=40)
    with running(world, **SWEPT):
        eventually(lambda: due(world) == [told])
    assert due(world) == [told]
