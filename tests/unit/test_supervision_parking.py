"""Who is parked when something that is needed is down, and who begins again: decided from values."""

from itertools import pairwise

import pytest

from m10actors.supervision import AutoShutdown, Crashed, ExitReason, Killed, Normal, Restart, Shutdown, Strategy
from m10actors.supervision.plan import (
    Parking,
    Standing,
    held_up,
    plan_parking,
    resume_delay,
    shuts_down,
    stays_parked,
)
from m10actors.supervision.weather import Weather

PG, REDIS, BOTH = frozenset({"postgres"}), frozenset({"redis"}), frozenset({"postgres", "redis"})
CRASH = Crashed("ValueError", "boom")


def standing(name: str, needs: frozenset[str] = frozenset(), **more: object) -> Standing:
    return Standing(name, Restart.PERMANENT, running=True, needs=needs, **more)  # type: ignore[arg-type]


ABC = (standing("a"), standing("b", PG), standing("c", REDIS), standing("d"))


@pytest.mark.parametrize(
    ("strategy", "down", "held"),
    [
        (Strategy.ONE_FOR_ONE, PG, {"b": PG}),
        (Strategy.REST_FOR_ONE, PG, {"b": PG, "c": PG, "d": PG}),
        (Strategy.REST_FOR_ONE, REDIS, {"c": REDIS, "d": REDIS}),
        (Strategy.REST_FOR_ONE, BOTH, {"b": PG, "c": BOTH, "d": BOTH}),
        (Strategy.ONE_FOR_ALL, REDIS, {"a": REDIS, "b": REDIS, "c": REDIS, "d": REDIS}),
        (Strategy.ONE_FOR_ALL, frozenset({"intake"}), {}),
        (Strategy.ONE_FOR_ONE, frozenset(), {}),
    ],
)
def test_a_child_is_held_up_by_its_own_needs_and_those_of_the_siblings_that_it_depends_on(
    strategy: Strategy, down: frozenset[str], held: dict[str, frozenset[str]]
) -> None:
    assert held_up(ABC, down, strategy) == held


def test_those_who_are_parked_stop_in_reverse_and_begin_again_in_order() -> None:
    assert plan_parking(ABC, PG, Strategy.REST_FOR_ONE) == Parking(park=(("d", PG), ("c", PG), ("b", PG)))
    parked = tuple(standing(name, parked_on=PG) for name in "abc")
    assert plan_parking(parked, frozenset(), Strategy.REST_FOR_ONE) == Parking(resume=("a", "b", "c"))


def test_who_is_parked_already_is_left_alone_until_it_waits_for_something_else() -> None:
    parked = (standing("a", BOTH, parked_on=PG),)
    assert plan_parking(parked, PG, Strategy.ONE_FOR_ONE) == Parking()
    assert plan_parking(parked, BOTH, Strategy.ONE_FOR_ONE) == Parking(park=(("a", BOTH),))
    assert plan_parking(parked, REDIS, Strategy.ONE_FOR_ONE) == Parking(park=(("a", REDIS),))


def test_a_child_that_has_finished_holds_nobody_up_and_is_not_parked() -> None:
    children = (standing("a", PG, finished=True), standing("b"))
    assert plan_parking(children, PG, Strategy.REST_FOR_ONE) == Parking()


@pytest.mark.parametrize(
    ("restart", "reason", "stays"),
    [
        (Restart.TEMPORARY, Shutdown(), True),
        (Restart.TEMPORARY, CRASH, False),
        (Restart.TEMPORARY, Killed("late"), False),
        (Restart.TRANSIENT, Shutdown(), True),
        (Restart.TRANSIENT, Normal(), False),
        (Restart.TRANSIENT, CRASH, True),
        (Restart.PERMANENT, Normal(), True),
        (Restart.PERMANENT, CRASH, True),
    ],
)
def test_a_child_that_ended_by_itself_when_it_was_parked_is_treated_as_its_restart_type_says(
    restart: Restart, reason: ExitReason | None, stays: bool
) -> None:
    assert stays_parked(restart, reason) is stays


def test_those_who_begin_again_are_spread_in_order_each_in_its_own_part() -> None:
    delays = [resume_delay(n, of=4, within=2.0, chance=chance) for n, chance in enumerate((1.0, 0.0, 0.5, 1.0))]
    assert delays == [0.5, 0.5, 1.25, 2.0]
    assert all(before <= after for before, after in pairwise(delays))


@pytest.mark.parametrize(
    ("auto_shutdown", "others_finished", "ends"),
    [
        (AutoShutdown.NEVER, True, False),
        (AutoShutdown.ANY_SIGNIFICANT, False, True),
        (AutoShutdown.ALL_SIGNIFICANT, False, False),
        (AutoShutdown.ALL_SIGNIFICANT, True, True),
    ],
)
def test_a_supervisor_ends_with_its_significant_children(
    auto_shutdown: AutoShutdown, others_finished: bool, ends: bool
) -> None:
    children = (
        standing("a", significant=True, finished=True),
        standing("b", significant=True, finished=others_finished),
        standing("c"),
    )
    assert shuts_down(children, "a", auto_shutdown) is ends
    assert not shuts_down(children, "c", auto_shutdown)


def test_only_a_change_of_the_weather_is_news_and_each_name_has_its_reason() -> None:
    weather = Weather({"redis"})
    assert not weather.report("redis", up=False, why="")
    assert weather.report("postgres", up=False, why="connection refused")
    assert not weather.report("postgres", up=False, why="still refused")
    assert weather.down == BOTH
    assert weather.why({"postgres", "redis", "intake"}) == "postgres: still refused; redis"
    assert weather.report("postgres", up=True, why="")
    assert not weather.report("postgres", up=True, why="")
    assert weather.down == REDIS
