"""The stream reader by itself: the real one on a real Redis, with its siblings played."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import Any

import pipeline_kit
import pytest
from pipeline_kit import NAMES, World, parts_of
from supervisor_kit import root, states
from supervisor_kit import running as tree_of
from test_pipeline_claim_worker import Sibling

from m10actors.actors.messages import Demand, Entries
from m10actors.actors.stream_reader import READ, StreamReader
from m10actors.recovery.dependency import Dependency
from m10actors.supervision import ChildSpec
from m10actors.supervisor import Tree
from m10actors.testing.waiting import eventually

world = pipeline_kit.world
BLOCK, DAY_MS = timedelta(milliseconds=20), 24 * 3_600_000


@contextmanager
def alone(
    world: World, claim_idle: timedelta = timedelta(hours=1), redis: Dependency | None = None
) -> Iterator[tuple[Tree, list[Any]]]:
    """The reader, which stands still while `redis` is down, and what it told the claim workers `a` and `b`."""
    parts = parts_of(world)
    told: list[Any] = []
    reader = ChildSpec(
        "stream_reader",
        start=lambda link: StreamReader.start(
            link, parts.queue(), redis or parts.redis, BLOCK, 100, claim_idle, abreast=1
        ),
        needs=frozenset({"redis"}),
    )
    siblings = [ChildSpec(name, start=partial(Sibling.start, told=told)) for name in ("a", "b", "dead_letter_router")]
    try:
        with tree_of(root(*siblings, reader)) as tree:
            yield tree, told
    finally:
        parts.close()


def read(world: World, tree: Tree, told: list[Any], count: int) -> None:
    """So many entries, which the worker has in hand from then on."""
    for candidate in range(1, count + 1):
        world.raw.xadd(NAMES.stream, {"candidate_id": candidate, "message_id": f"{candidate}:1"})
    assert tree.tell("stream_reader", Demand("a", count, fresh=True))
    eventually(lambda: sum(len(each.entries) for each in told if isinstance(each, Entries)) == count)


def pending(world: World) -> list[dict[str, Any]]:
    return list(world.raw.xpending_range(NAMES.stream, NAMES.group, "-", "+", 10))


@pytest.mark.parametrize("end", ["drained", "parked"])
def test_what_is_in_hand_when_it_has_to_go_is_handed_back(world: World, end: str) -> None:
    """For anybody to take at once, whatever the pause after an attempt; and as never delivered."""
    with alone(world) as (tree, told):
        read(world, tree, told, 3)
        if end == "parked":
            tree.weather("redis", up=False, why="a test")
            eventually(lambda: states(tree)["stream_reader"].phase == "parked")
            assert len(pending(world)) == 3
            assert all(row["time_since_delivered"] > DAY_MS for row in pending(world))
    assert [row["times_delivered"] for row in pending(world)] == [0, 0, 0]
    assert all(row["time_since_delivered"] > DAY_MS for row in pending(world))


def test_what_a_slow_worker_has_in_hand_does_not_look_idle(world: World) -> None:
    """T20: and no delivery is counted for it."""
    with alone(world, claim_idle=timedelta(milliseconds=30)) as (tree, told):
        read(world, tree, told, 2)
        ids = [row["message_id"] for row in pending(world)]
        for _ in range(3):
            world.raw.xclaim(NAMES.stream, NAMES.group, pending(world)[0]["consumer"], 0, ids, idle=DAY_MS, justid=True)
            eventually(lambda: all(row["time_since_delivered"] < DAY_MS for row in pending(world)))
        assert [row["times_delivered"] for row in pending(world)] == [1, 1]


def test_a_backlog_is_for_so_many_workers_and_what_comes_without_one_for_any(world: World) -> None:
    """So many: one."""
    with alone(world) as (tree, told):
        read(world, tree, told, 2)  # as many as it wanted: there may be more
        for candidate in (3, 4):
            world.raw.xadd(NAMES.stream, {"candidate_id": candidate})
        for message in (Demand("b", 1), READ, READ):
            assert tree.tell("stream_reader", message)
        eventually(lambda: states(tree)["stream_reader"].mailbox == 0)  # so that the first of these reads has ended
        assert len(pending(world)) == 2
        assert tree.tell("stream_reader", Demand("a", 5, ids(told)))
        eventually(lambda: len(told) == 2)
        assert tree.tell("stream_reader", Demand("b", 5, ids(told)))
        eventually(lambda: len(told) == 3)
        assert [[entry.candidate_id for entry in each.entries] for each in told] == [[1, 2], [3], [4]]
        world.raw.xadd(NAMES.stream, {"candidate_id": 5})  # `a` has one of five that it wanted: there is no backlog
        eventually(lambda: len(told) == 4)


def ids(told: list[Any]) -> frozenset[bytes]:
    """Of what was told last."""
    return frozenset(entry.entry_id for entry in told[-1].entries)


def test_a_group_that_cannot_be_made_again_yet_is_said_once(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """T7 on a full server, which refuses a new group."""
    caplog.set_level(logging.WARNING)
    redis = Dependency("redis")
    with alone(world, redis=redis) as (tree, told):
        read(world, tree, told, 1)
        known = redis.losses
        world.raw.config_resetstat()
        world.raw.config_set("maxmemory", 1)
        try:
            world.raw.xgroup_destroy(NAMES.stream, NAMES.group)
            handed = frozenset(entry.entry_id for entry in told[0].entries)
            assert tree.tell("stream_reader", Demand("a", 1, handed, fresh=False))
            eventually(lambda: refused_groups(world) >= 3)
        finally:
            world.raw.config_set("maxmemory", 0)
        eventually(lambda: len(told) == 2)
        assert redis.losses > known
        assert [record.message for record in caplog.records].count("stream_state_lost") == 1


def refused_groups(world: World) -> int:
    return int(world.raw.info("commandstats").get("cmdstat_xgroup|create", {}).get("rejected_calls", 0))
