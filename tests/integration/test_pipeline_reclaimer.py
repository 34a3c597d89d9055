"""The reclaimer by itself: the real one on real stores, with its siblings played."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

import pipeline_kit
import pytest
from pipeline_kit import NAMES, World, parts_of
from supervisor_kit import root
from supervisor_kit import running as tree_of
from test_pipeline_claim_worker import Sibling

from m10actors.actors.messages import Demand, Entries, Tick
from m10actors.actors.reclaimer import Reclaimer
from m10actors.postgres import evaluations
from m10actors.recovery.retry import ReclaimBackoff
from m10actors.supervision import ChildSpec
from m10actors.supervisor import Tree
from m10actors.testing.waiting import eventually

world = pipeline_kit.world
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
BACKOFF = ReclaimBackoff(first=5 * MINUTE, base=MINUTE, longest=24 * HOUR)
"""The one of the contract."""


class Dead:
    """One predecessor, called `dead`."""

    forgotten = False

    def take_over(self) -> Sequence[str]:
        return ("dead",)

    def forget(self) -> None:
        self.forgotten = True


@dataclass
class Alone:
    """The reclaimer, and what it told two claim workers."""

    tree: Tree
    dead: Dead
    told: dict[str, list[Any]]

    def demand(self, worker: str, want: int, *dealt_with: Entries) -> None:
        ids = frozenset(entry.entry_id for entries in dealt_with for entry in entries.entries)
        assert self.tree.tell("reclaimer", Demand(worker, want, ids))

    def look(self) -> None:
        assert self.tree.tell("reclaimer", Tick("reclaim"))

    def given(self, worker: str, number: int) -> Entries:
        """The share of that number."""
        eventually(lambda: len(self.told[worker]) >= number)
        share = self.told[worker][number - 1]
        assert isinstance(share, Entries)
        assert share.retaken
        return share


@contextmanager
def alone(world: World, per_round: int = 10) -> Iterator[Alone]:
    """Nothing is polled: it looks when it is told to."""
    parts = parts_of(world)
    parts.open()
    told: dict[str, list[Any]] = {name: [] for name in ("a", "b", "dead_letter_router")}
    siblings = [ChildSpec(name, start=partial(Sibling.start, told=seen)) for name, seen in told.items()]
    dead = Dead()
    reclaimer = ChildSpec(
        "reclaimer",
        start=lambda link: Reclaimer.start(link, parts.app, parts.queue(), dead, BACKOFF, per_round, poll=HOUR),
    )
    try:
        with tree_of(root(*siblings, reclaimer)) as tree:
            yield Alone(tree, dead, told)
    finally:
        parts.close()


def left(world: World, consumer: str, candidates: Sequence[int], idle: timedelta = timedelta(0)) -> list[bytes]:
    """Entries that a consumer has had for so long; their ids."""
    with world.raw.pipeline() as many:
        for candidate in candidates:
            many.xadd(NAMES.stream, {"candidate_id": candidate, "message_id": f"{candidate}:1"})
        entry_ids: list[bytes] = many.execute()
    world.raw.xreadgroup(NAMES.group, consumer, {NAMES.stream: ">"}, count=len(candidates))
    idle_ms = int(idle.total_seconds() * 1000)
    world.raw.xclaim(NAMES.stream, NAMES.group, consumer, 0, entry_ids, idle=idle_ms, justid=True)
    return entry_ids


def owners(world: World) -> dict[bytes, bytes]:
    """The consumer of each pending entry."""
    return {
        row["message_id"]: row["consumer"]
        for row in world.raw.xpending_range(NAMES.stream, NAMES.group, "-", "+", 10_000)
    }


def begun(world: World, candidate: int, attempts: int, lease: timedelta = timedelta(0)) -> None:
    world.sql(
        "INSERT INTO m10_recovery.evaluation_claim (candidate_id, generation, attempts, claimed_by, claimed_until)"
        " VALUES (%s, 1, %s, 'another', clock_timestamp() + %s)",
        candidate,
        attempts,
        lease,
    )


def test_what_the_dead_had_in_hand_goes_to_one_worker_at_a_time_until_nothing_is_left(world: World) -> None:
    """Should it kill the process again, nothing that another worker had just begun is charged with it."""
    left(world, "dead", range(1, 6))
    with alone(world) as reclaimer:
        reclaimer.demand("a", 3)
        reclaimer.demand("b", 3)
        first = reclaimer.given("a", 1)
        assert [entry.candidate_id for entry in first.entries] == [1, 2, 3]
        reclaimer.demand("b", 3)
        reclaimer.demand("a", 3)  # from before: it has not dealt with them
        assert reclaimer.told["b"] == []
        reclaimer.demand("a", 3, first)
        second = reclaimer.given("b", 1)
        assert [entry.candidate_id for entry in second.entries] == [4, 5]
        assert not reclaimer.dead.forgotten
        reclaimer.demand("b", 3, second)
        eventually(lambda: reclaimer.dead.forgotten)
        assert (len(reclaimer.told["a"]), len(reclaimer.told["b"])) == (1, 1)


def test_what_a_worker_had_in_hand_when_it_crashed_is_handed_to_its_successor(world: World) -> None:
    left(world, "dead", [1, 2])
    with alone(world) as reclaimer:
        reclaimer.demand("a", 3)
        first = reclaimer.given("a", 1)
        assert reclaimer.tree.tell("reclaimer", Demand("a", 3, fresh=True))
        assert reclaimer.given("a", 2) == first


def test_what_is_in_hand_at_the_end_is_handed_back_and_the_next_one_gets_it_at_its_first_look(world: World) -> None:
    """It counts as never delivered."""
    left(world, "dead", [1, 2])
    with alone(world) as reclaimer:
        reclaimer.demand("a", 1)
        reclaimer.given("a", 1)
    handed_back, not_taken = world.raw.xpending_range(NAMES.stream, NAMES.group, "-", "+", 10)
    assert (handed_back["times_delivered"], not_taken["consumer"]) == (0, b"dead")
    world.raw.xgroup_delconsumer(NAMES.stream, NAMES.group, "dead")  # this one has no predecessor
    with alone(world) as successor:
        eventually(lambda: successor.tree.tell("reclaimer", Demand("b", 5)) and successor.dead.forgotten)
        successor.look()
        assert [entry.candidate_id for entry in successor.given("b", 1).entries] == [1]


@pytest.mark.parametrize(
    ("attempts", "waits"), [(0, 5 * MINUTE), (1, MINUTE), (2, 2 * MINUTE), (3, 4 * MINUTE), (20, 24 * HOUR)]
)
def test_the_more_attempts_the_longer_an_entry_is_left_to_the_one_who_has_it(
    world: World, attempts: int, waits: timedelta
) -> None:
    """Attempts as PostgreSQL counts them, not deliveries as Redis does."""
    early, due = left(world, "slow", [1, 2], waits)
    world.raw.xclaim(NAMES.stream, NAMES.group, "slow", 0, [early], idle=round((waits - MINUTE / 2) / MINUTE * 60_000))
    for candidate in (1, 2) if attempts else ():
        begun(world, candidate, attempts)
    with alone(world) as reclaimer:
        reclaimer.demand("a", 5)
        eventually(lambda: reclaimer.dead.forgotten)
        reclaimer.look()
        assert [entry.entry_id for entry in reclaimer.given("a", 1).entries] == [due]
        assert owners(world)[early] == b"slow"


def test_what_somebody_has_begun_and_still_works_at_is_not_taken_however_idle_it_looks(world: World) -> None:
    """T17: also where its entry does not say which generation it means."""
    [candidate] = world.upsert(1)
    running_id, free_id = left(world, "slow", [candidate, 999_999], 2 * 24 * HOUR)
    unnamed = world.raw.xadd(NAMES.stream, {"candidate_id": candidate})
    world.raw.xreadgroup(NAMES.group, "slow", {NAMES.stream: ">"})
    world.raw.xclaim(NAMES.stream, NAMES.group, "slow", 0, [unnamed], idle=2 * 24 * 3_600_000)
    begun(world, candidate, 2, HOUR)
    with alone(world) as reclaimer:
        reclaimer.demand("a", 5)
        eventually(lambda: reclaimer.dead.forgotten)
        reclaimer.look()
        assert [entry.entry_id for entry in reclaimer.given("a", 1).entries] == [free_id]
        assert owners(world)[running_id] == owners(world)[unnamed] == b"slow"


def test_stalled_entries_behind_any_number_that_must_wait_are_all_found_at_one_look(world: World) -> None:
    """T19: 150 of them, behind what is fresh and behind what is idle and waits for its pause to end."""
    left(world, "fresh", range(1001, 1101))
    left(world, "waiting", range(2001, 2251), 2 * MINUTE)
    stalled = left(world, "stalled", range(3001, 3151), HOUR)
    with alone(world, per_round=20) as reclaimer:
        taken: list[bytes] = []
        reclaimer.demand("a", 50)
        eventually(lambda: reclaimer.dead.forgotten)
        reclaimer.look()
        while len(taken) < len(stalled):
            share = reclaimer.given("a", len(taken) // 20 + 1)
            taken += [entry.entry_id for entry in share.entries]
            reclaimer.demand("a", 50, share)
        assert taken == stalled
        assert {owner for entry_id, owner in owners(world).items() if entry_id not in taken} == {b"fresh", b"waiting"}


def test_what_a_slow_worker_has_in_hand_does_not_look_idle(world: World) -> None:
    """T20: and no delivery is counted for it."""
    [entry_id] = left(world, "dead", [1])
    with alone(world) as reclaimer:
        reclaimer.demand("a", 1)
        reclaimer.given("a", 1)
        me = owners(world)[entry_id]
        [before] = world.raw.xpending_range(NAMES.stream, NAMES.group, "-", "+", 1)
        world.raw.xclaim(NAMES.stream, NAMES.group, me, 0, [entry_id], idle=3_600_000, justid=True)
        reclaimer.look()

        def kept() -> Any:
            [row] = world.raw.xpending_range(NAMES.stream, NAMES.group, "-", "+", 1)
            return row["time_since_delivered"] < 3_600_000 and row["times_delivered"] == before["times_delivered"]

        eventually(kept)


def test_attempts_that_a_worker_has_begun_are_prolonged_and_those_of_others_are_not(world: World) -> None:
    parts = parts_of(world)
    parts.open()
    try:
        ids = world.upsert(2)
        evaluations.begin_attempts(parts.app, "me", [(ids[0], 1)], MINUTE)
        begun(world, ids[1], 1, MINUTE)
        begun(world, 777, 1)
        wanted: list[tuple[int, int | None]] = [(ids[0], 1), (ids[0], None), (ids[1], 1), (777, 1), (888, 1)]
        assert evaluations.renew_attempts(parts.app, "me", [(c, 1) for c in (*ids, 777)], HOUR) == 1
        assert evaluations.renew_attempts(parts.app, "another", [(777, 1)], HOUR) == 0, "it ended: anyone may have it"
        made = {
            key: (each.attempts, each.in_hand) for key, each in evaluations.attempts_made(parts.app, wanted).items()
        }
        in_hand = (1, True)
        assert made == {(ids[0], 1): in_hand, (ids[0], None): in_hand, (ids[1], 1): in_hand, (777, 1): (1, False)}
    finally:
        parts.close()
