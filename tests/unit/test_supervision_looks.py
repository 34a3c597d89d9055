"""When a child that looks stuck is taken out: at the second look, unless the process may have stood still before it."""

import threading
from collections.abc import Iterator

import pytest

from m10actors.supervision import Actor, ChildSpec
from m10actors.supervision.child import Child
from m10actors.supervision.runtime import Runtime

EVERY = 0.1


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def silent(clock: Clock) -> Iterator[Child]:
    """It owes a sign every 0.1 s, and gives none."""
    runtime = Runtime(clock=clock)
    child = Child(ChildSpec("silent", Actor.start, period=EVERY), runtime)
    child.start(lambda _: None, unless=threading.Event())
    yield child
    child.stop()
    runtime.timer.close()


def taken_out(child: Child, clock: Clock, *looks: float) -> list[int]:
    """How often it had been taken out after each look."""
    counts = []
    for clock.now in looks:
        child.take_out_if_stuck(clock.now, EVERY)
        counts.append(child.state().taken_out)
    return counts


def test_a_silent_child_is_taken_out_at_the_second_look(silent: Child, clock: Clock) -> None:
    assert taken_out(silent, clock, 0.2, 0.35, 0.5) == [0, 0, 1]


def test_a_process_that_stands_still_between_two_looks_takes_nobody_out(silent: Child, clock: Clock) -> None:
    assert taken_out(silent, clock, 1.0, 2.0, 3.0, 3.1) == [0, 0, 0, 1]
