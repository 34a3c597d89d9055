"""The pure core of supervision, for all inputs."""

from dataclasses import replace
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from m10actors.supervision import Backoff, Crashed, ExitReason, Killed, Normal, Restart, Shutdown, Strategy
from m10actors.supervision.backoff import longest_wait, restart_delay
from m10actors.supervision.plan import (
    Plan,
    Standing,
    due_starts,
    held_up,
    plan_parking,
    plan_restart,
    resume_delay,
    should_restart,
)

REASONS = st.sampled_from([Normal(), Shutdown(), Crashed("ValueError", "boom"), Killed("stuck")])
TIMES = st.floats(min_value=0, max_value=1000)


@st.composite
def families(draw: st.DrawFn) -> tuple[tuple[Standing, ...], Standing]:
    """Siblings in start order, and the one that has ended."""
    kinds = draw(st.lists(st.tuples(st.sampled_from(Restart), st.booleans()), min_size=1, max_size=8))
    children = tuple(Standing(f"c{n}", restart, running) for n, (restart, running) in enumerate(kinds))
    return children, draw(st.sampled_from(children))


NAMES = st.frozensets(st.sampled_from(["postgres", "redis", "intake"]))


@st.composite
def households(draw: st.DrawFn) -> tuple[Standing, ...]:
    """Siblings in start order, each with needs, some finished, some parked."""
    return tuple(
        Standing(
            f"c{n}",
            draw(st.sampled_from(Restart)),
            running=not (finished or parked_on),
            finished=finished,
            needs=draw(NAMES),
            parked_on=parked_on,
        )
        for n in range(draw(st.integers(0, 8)))
        for finished in [draw(st.booleans())]
        for parked_on in [frozenset() if finished else draw(NAMES)]
    )


def after(children: tuple[Standing, ...], down: frozenset[str], strategy: Strategy) -> tuple[Standing, ...]:
    plan = plan_parking(children, down, strategy)
    on = dict(plan.park) | dict.fromkeys(plan.resume, frozenset[str]())
    return tuple(replace(child, parked_on=on.get(child.id, child.parked_on)) for child in children)


@given(households(), NAMES, st.sampled_from(Strategy))
def test_after_a_parking_plan_exactly_those_are_parked_whom_the_weather_holds_up(
    children: tuple[Standing, ...], down: frozenset[str], strategy: Strategy
) -> None:
    settled = after(children, down, strategy)
    assert {child.id: child.parked_on for child in settled if child.parked_on} == held_up(children, down, strategy)
    assert after(settled, down, strategy) == settled
    assert all(child.parked_on for child in settled if child.needs & down and not child.finished)
    assert not any(child.parked_on for child in after(settled, frozenset(), strategy))


@given(households(), NAMES)
def test_the_more_siblings_depend_on_one_another_the_more_are_held_up(
    children: tuple[Standing, ...], down: frozenset[str]
) -> None:
    held = {s: held_up(children, down, s).keys() for s in Strategy}
    assert held[Strategy.ONE_FOR_ONE] <= held[Strategy.REST_FOR_ONE] <= held[Strategy.ONE_FOR_ALL]


@given(st.floats(0, 100), st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_a_spread_is_in_order_and_within_its_time(within: float, chances: list[float]) -> None:
    delays = [resume_delay(n, len(chances), within, chance) for n, chance in enumerate(chances)]
    assert all(0 <= delay <= within * (1 + 1e-9) for delay in delays)
    assert all(before <= later * (1 + 1e-9) for before, later in pairwise(delays))


@given(families(), REASONS, st.sampled_from(Strategy))
def test_stops_are_in_reverse_order_and_starts_in_order(
    family: tuple[tuple[Standing, ...], Standing], reason: ExitReason, strategy: Strategy
) -> None:
    children, exited = family
    order = [child.id for child in children]
    plan = plan_restart(children, exited.id, reason, strategy)
    assert list(plan.stop) == sorted(plan.stop, key=order.index, reverse=True)
    assert list(plan.start) == sorted(plan.start, key=order.index)
    assert len({*plan.stop}) == len(plan.stop)
    assert len({*plan.start}) == len(plan.start)


@given(families(), REASONS, st.sampled_from(Strategy))
def test_a_plan_starts_the_exited_child_or_touches_nobody(
    family: tuple[tuple[Standing, ...], Standing], reason: ExitReason, strategy: Strategy
) -> None:
    children, exited = family
    plan = plan_restart(children, exited.id, reason, strategy)
    if should_restart(exited.restart, reason):
        assert exited.id in plan.start
        assert exited.id not in plan.stop
    else:
        assert plan == Plan()


@given(families(), REASONS, st.sampled_from(Strategy))
def test_whoever_is_stopped_runs_and_is_started_again_unless_temporary(
    family: tuple[tuple[Standing, ...], Standing], reason: ExitReason, strategy: Strategy
) -> None:
    children, exited = family
    by_id = {child.id: child for child in children}
    plan = plan_restart(children, exited.id, reason, strategy)
    assert all(by_id[name].running for name in plan.stop)
    assert all((name in plan.start) == (by_id[name].restart is not Restart.TEMPORARY) for name in plan.stop)
    assert all(by_id[name].restart is not Restart.TEMPORARY for name in plan.start)


@given(families(), REASONS)
def test_each_strategy_reaches_as_far_as_its_name_says(
    family: tuple[tuple[Standing, ...], Standing], reason: ExitReason
) -> None:
    children, exited = family
    touched = {
        strategy: {*plan.stop, *plan.start}
        for strategy in Strategy
        for plan in [plan_restart(children, exited.id, reason, strategy)]
    }
    before = {child.id for child in children[: children.index(exited)]}
    assert touched[Strategy.ONE_FOR_ONE] <= {exited.id}
    assert touched[Strategy.REST_FOR_ONE].isdisjoint(before)
    assert touched[Strategy.ONE_FOR_ONE] <= touched[Strategy.REST_FOR_ONE] <= touched[Strategy.ONE_FOR_ALL]


@given(
    st.lists(TIMES, max_size=8).map(lambda times: [(f"c{n}", at) for n, at in enumerate(times)]),
    TIMES,
    st.sampled_from(Strategy),
)
def test_a_child_that_waits_is_started_or_looked_for_again(
    waiting: list[tuple[str, float]], now: float, strategy: Strategy
) -> None:
    due, next_at = due_starts(waiting, now, strategy)
    assert all(at <= now for name, at in waiting if name in due)
    assert (next_at is None) == (len(due) == len(waiting))
    assert next_at is None or next_at > now


@given(
    st.floats(min_value=0.001, max_value=10),
    st.floats(min_value=1, max_value=100),
    st.lists(st.floats(min_value=0, max_value=1), max_size=100),
)
def test_delays_never_pass_the_cap_nor_their_sum_the_longest_wait(
    base: float, times: float, chances: list[float]
) -> None:
    backoff = Backoff(base, cap=base * times)
    delays = [restart_delay(backoff, n + 1, chance) for n, chance in enumerate(chances)]
    assert all(0 <= delay <= backoff.cap for delay in delays)
    assert sum(delays) <= longest_wait(backoff, len(delays)) * (1 + 1e-9)
