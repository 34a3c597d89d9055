"""Which children a supervisor stops and starts: OTP's matrix of restart type, exit reason and strategy."""

import pytest

from m10actors.supervision import Crashed, ExitReason, Killed, Normal, NotStarted, Restart, Shutdown, Strategy
from m10actors.supervision.plan import Plan, Standing, due_starts, plan_restart

CRASH = Crashed("ValueError", "boom")
REASONS: dict[str, ExitReason] = {
    "normal": Normal(),
    "shutdown": Shutdown(),
    "crash": CRASH,
    "killed": Killed("stuck"),
    "not_started": NotStarted("below", CRASH),
}
RESTARTED = {
    (Restart.PERMANENT, "normal"): True,
    (Restart.PERMANENT, "shutdown"): True,
    (Restart.PERMANENT, "crash"): True,
    (Restart.PERMANENT, "killed"): True,
    (Restart.PERMANENT, "not_started"): True,
    (Restart.TRANSIENT, "normal"): False,
    (Restart.TRANSIENT, "shutdown"): False,
    (Restart.TRANSIENT, "crash"): True,
    (Restart.TRANSIENT, "killed"): True,
    (Restart.TRANSIENT, "not_started"): True,
    (Restart.TEMPORARY, "normal"): False,
    (Restart.TEMPORARY, "shutdown"): False,
    (Restart.TEMPORARY, "crash"): False,
    (Restart.TEMPORARY, "killed"): False,
    (Restart.TEMPORARY, "not_started"): False,
}
PLAN_FOR_B = {
    Strategy.ONE_FOR_ONE: Plan(stop=(), start=("b",)),
    Strategy.ONE_FOR_ALL: Plan(stop=("c", "a"), start=("a", "b", "c")),
    Strategy.REST_FOR_ONE: Plan(stop=("c",), start=("b", "c")),
}
CASES = [
    pytest.param(strategy, restart, reason, id=f"{strategy}_{restart}_{reason}")
    for strategy in Strategy
    for restart, reason in RESTARTED
]


def siblings(**kinds: Restart) -> tuple[Standing, ...]:
    return tuple(Standing(name, restart, running=True) for name, restart in kinds.items())


@pytest.mark.parametrize(("strategy", "restart", "reason"), CASES)
def test_the_matrix(strategy: Strategy, restart: Restart, reason: str) -> None:
    children = siblings(a=Restart.PERMANENT, b=restart, c=Restart.PERMANENT)
    expected = PLAN_FOR_B[strategy] if RESTARTED[restart, reason] else Plan()
    assert plan_restart(children, "b", REASONS[reason], strategy) == expected


@pytest.mark.parametrize("strategy", [Strategy.ONE_FOR_ALL, Strategy.REST_FOR_ONE])
def test_a_temporary_sibling_that_is_stopped_with_its_group_stays_ended(strategy: Strategy) -> None:
    children = siblings(a=Restart.PERMANENT, b=Restart.TEMPORARY)
    assert plan_restart(children, "a", CRASH, strategy) == Plan(stop=("b",), start=("a",))


def test_a_transient_sibling_that_had_ended_is_started_with_its_group_and_not_stopped() -> None:
    children = (Standing("a", Restart.PERMANENT, running=True), Standing("b", Restart.TRANSIENT, running=False))
    assert plan_restart(children, "a", CRASH, Strategy.ONE_FOR_ALL) == Plan(stop=(), start=("a", "b"))


def test_one_for_one_starts_whoever_is_due_and_looks_again_when_the_next_is() -> None:
    waiting = [("a", 5.0), ("b", 1.0), ("c", 3.0)]
    assert due_starts(waiting, now=2.0, strategy=Strategy.ONE_FOR_ONE) == (("b",), 3.0)


def test_where_siblings_depend_on_one_another_one_that_waits_holds_back_those_after_it() -> None:
    waiting = [("a", 1.0), ("b", 5.0), ("c", 3.0)]
    assert due_starts(waiting, now=4.0, strategy=Strategy.REST_FOR_ONE) == (("a",), 5.0)
    assert due_starts(waiting, now=5.0, strategy=Strategy.ONE_FOR_ALL) == (("a", "b", "c"), None)


def test_nobody_waits() -> None:
    assert due_starts([], now=0.0, strategy=Strategy.ONE_FOR_ONE) == ((), None)
    assert due_starts([], now=0.0, strategy=Strategy.ONE_FOR_ALL) == ((), None)
