"""A replay against a world that fails as it likes: where it stops, how far it goes, that it comes to an end."""

from dataclasses import replace
from math import ceil
from random import Random

from hypothesis import example, given
from hypothesis import strategies as st

from m10actors.replay.verdict import SMALLEST_ROOM, Done, Send, Stop, Tally, Verdict, Wait, phase, verdict, window

NOTHING = Tally(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)


class World:
    """Items of which some fail again, once they come to an end; `tally` counts as PostgreSQL does."""

    def __init__(self, fates: list[bool]) -> None:
        self.fates = fates
        self.sent = 0
        self.ended = 0

    def tally(self) -> Tally:
        judged = self.fates[: self.ended][-window(len(self.fates)) :]
        return replace(
            NOTHING, total=len(self.fates), waiting=len(self.fates) - self.sent, replayed=self.sent, tried=self.sent,
            tried_ended=self.ended, well=self.fates[: self.ended].count(True), judged=len(judged),
            judged_bad=judged.count(False),
        )  # fmt: skip

    def play(self, stop_at: float, chance: Random) -> Verdict:
        """Until it is over; of what is under way, any number ends between two looks."""
        while True:
            found = verdict(self.tally(), stop_at, is_silent=False)
            match found:
                case Send(most):
                    assert 0 < most <= len(self.fates) - self.sent
                    self.sent += chance.randint(1, most)
                    self.ended += chance.randint(0, self.sent - self.ended)
                case Wait():
                    assert self.sent > self.ended
                    self.ended += chance.randint(1, self.sent - self.ended)
                case Stop() | Done():
                    return found


fates = st.lists(st.booleans(), min_size=1, max_size=400)
chances = st.integers(0, 2**32).map(Random)


@given(st.integers(1, 400), st.floats(0, 1), chances)
def test_where_nothing_fails_all_is_replayed(count: int, stop_at: float, chance: Random) -> None:
    world = World([True] * count)
    assert isinstance(world.play(stop_at, chance), Done)
    assert world.sent == world.ended == count


@given(st.integers(2, 5000), st.floats(0, 0.99), chances)
def test_where_all_fails_one_is_replayed(count: int, stop_at: float, chance: Random) -> None:
    world = World([False] * count)
    assert isinstance(world.play(stop_at, chance), Stop)
    assert world.sent == 1


@example(1000, 0.8999999999999999, Random(0))
@given(st.integers(1000, 20_000), st.floats(0, 0.9, exclude_max=True), chances)
def test_failures_that_return_after_the_first_stop_it_within_the_first_percent(
    count: int, stop_at: float, chance: Random
) -> None:
    """Of a percent of 10 at least, all but the first fail: more than `stop_at`, which is below nine tenths."""
    world = World([True] + [False] * (count - 1))
    assert isinstance(world.play(stop_at, chance), Stop)
    assert world.sent <= ceil(count / 100)


@given(fates, st.floats(0, 1), chances)
def test_it_stops_only_where_too_many_of_the_newest_failed(fates: list[bool], stop_at: float, chance: Random) -> None:
    world = World(fates)
    over = world.play(stop_at, chance)
    tally = world.tally()
    if isinstance(over, Stop):
        assert tally.judged_bad > stop_at
    else:
        assert world.ended == len(fates)


@given(fates, chances)
def test_of_the_rest_only_so_many_are_under_way_at_once(fates: list[bool], chance: Random) -> None:
    world = World(fates)
    while isinstance(found := verdict(world.tally(), 1.0, is_silent=False), Send | Wait):
        if isinstance(found, Send):
            world.sent += found.most
        assert world.tally().under_way <= max(SMALLEST_ROOM, 10 * world.tally().percent)
        world.ended += chance.randint(min(1, world.sent - world.ended), world.sent - world.ended)


@given(st.integers(1, 5000), st.integers(0, 5000), st.integers(0, 5000), st.floats(0, 1))
def test_silence_ends_every_wait(total: int, sent: int, ended: int, stop_at: float) -> None:
    world = World([True] * total)
    world.sent = min(sent, total)
    world.ended = min(ended, world.sent)
    assert not isinstance(verdict(world.tally(), stop_at, is_silent=True), Wait)


@given(fates, chances)
def test_phases_come_in_order(fates: list[bool], chance: Random) -> None:
    world, seen = World(fates), []
    while isinstance(found := verdict(world.tally(), 1.0, is_silent=False), Send | Wait):
        seen.append(phase(world.tally()))
        if isinstance(found, Send):
            world.sent += chance.randint(1, found.most)
        else:
            world.ended += chance.randint(1, world.sent - world.ended)
    order = ["first", "percent", "rest"]
    assert [order.index(each) for each in seen] == sorted(order.index(each) for each in seen)
