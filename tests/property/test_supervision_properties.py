"""The pure core of supervision, for all inputs."""

from hypothesis import given
from hypothesis import strategies as st

from m10actors.supervision import Backoff, Crashed, ExitReason, Killed, Normal, Restart, Shutdown, Strategy
from m10actors.supervision.backoff import longest_wait, restart_delay
from m10actors.supervision.intensity import add_restart
from m10actors.supervision.plan import Plan, Standing, due_starts, plan_restart, should_restart

REASONS = st.sampled_from([Normal(), Shutdown(), Crashed("ValueError", "boom"), Killed("stuck")])
TIMES = st.floats(min_value=0, max_value=1000)


@st.composite
def families(draw: st.DrawFn) -> tuple[tuple[Standing, ...], Standing]:
    """Siblings in start order, and the one that has ended."""
    kinds = draw(st.lists(st.tuples(st.sampled_from(Restart), st.booleans()), min_size=1, max_size=8))
    children = tuple(Standing(f"c{n}", restart, running) for n, (restart, running) in enumerate(kinds))
    return children, draw(st.sampled_from(children))


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


@given(st.lists(TIMES, max_size=30).map(sorted), st.integers(0, 5), st.floats(min_value=0.1, max_value=100))
def test_intensity_counts_exactly_the_restarts_within_the_period(times: list[float], limit: int, period: float) -> None:
    restarts: tuple[float, ...] = ()
    for n, now in enumerate(times):
        restarts, exceeded = add_restart(restarts, now, limit, period)
        within = [at for at in times[: n + 1] if now - at <= period]
        assert list(restarts) == within
        assert exceeded == (len(within) > limit)


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
