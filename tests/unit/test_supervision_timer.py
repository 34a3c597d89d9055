"""One thread for all ticks: coalesced, cancelled with the incarnation that asked for them."""

import queue
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from time import monotonic
from types import SimpleNamespace
from typing import Any

import pytest

from m10actors.supervision.timer import Timer
from m10actors.testing.waiting import eventually

SOON, NEVER = 0.001, 1e9


class Inbox:
    """Stands where the link of an incarnation stands; keeps what is delivered."""

    def __init__(self) -> None:
        self.got: queue.SimpleQueue[object] = queue.SimpleQueue()

    def deliver(self, message: object) -> bool:
        self.got.put(message)
        return True


@pytest.fixture
def timer() -> Iterator[Any]:
    timer = Timer()
    yield timer
    timer.close()
    assert not timer._thread.is_alive()


@pytest.fixture
def asked_at_once(monkeypatch: pytest.MonkeyPatch) -> Callable[[], AbstractContextManager[None]]:
    """As long as this lasts the clock of the timer stands still: no tick comes, however slow the machine is."""

    @contextmanager
    def still() -> Iterator[None]:
        now = monotonic()
        with monkeypatch.context() as patch:
            patch.setattr("m10actors.supervision.timer.time", SimpleNamespace(monotonic=lambda: now))
            yield

    return still


def test_ticks_come_in_the_order_of_their_times(
    timer: Any, asked_at_once: Callable[[], AbstractContextManager[None]]
) -> None:
    inbox = Inbox()
    with asked_at_once():
        for seconds, message in [(0.03, "third"), (0.01, "first"), (0.02, "second")]:
            timer.tick_in(inbox, seconds, message)
    assert [inbox.got.get(timeout=10) for _ in range(3)] == ["first", "second", "third"]


def test_of_equal_messages_the_earliest_stands_and_comes_once(timer: Any) -> None:
    inbox = Inbox()
    timer.tick_in(inbox, NEVER, "poll")
    timer.tick_in(inbox, SOON, "poll")
    timer.tick_in(inbox, NEVER, "poll")
    assert inbox.got.get(timeout=10) == "poll"
    timer.tick_in(inbox, SOON, "after")
    assert inbox.got.get(timeout=10) == "after"
    assert inbox.got.empty()


def test_a_tick_that_has_come_may_be_asked_for_again(timer: Any) -> None:
    inbox = Inbox()
    for _ in range(3):
        timer.tick_in(inbox, 0.0, "poll")
        assert inbox.got.get(timeout=10) == "poll"


def test_equal_messages_of_two_incarnations_are_two_ticks(timer: Any) -> None:
    one, other = Inbox(), Inbox()
    timer.tick_in(one, SOON, "poll")
    timer.tick_in(other, SOON, "poll")
    assert one.got.get(timeout=10) == other.got.get(timeout=10) == "poll"


def test_cancelled_ticks_do_not_come(timer: Any, asked_at_once: Callable[[], AbstractContextManager[None]]) -> None:
    gone, other = Inbox(), Inbox()
    with asked_at_once():
        timer.tick_in(gone, 0.01, "poll")
        timer.cancel(gone)
        timer.tick_in(other, 0.02, "poll")
    assert other.got.get(timeout=10) == "poll"
    assert gone.got.empty()


def test_ticks_that_are_moved_again_and_again_do_not_pile_up(timer: Any) -> None:
    inbox = Inbox()
    for n in range(10_000):
        timer.tick_in(inbox, NEVER - n, "poll")
    assert len(timer._heap) < 200


def test_a_tick_in_the_past_comes_at_once(timer: Any) -> None:
    inbox = Inbox()
    timer.tick_in(inbox, -5.0, "poll")
    eventually(lambda: not inbox.got.empty())
