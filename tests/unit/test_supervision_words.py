"""The small values and pure functions: intensity, backoff, exit reasons, liveness, specs."""

import math
import threading

import pytest

from m10actors.supervision import Backoff, ChildSpec, Crashed, InvalidSpec, SupervisorSpec, check
from m10actors.supervision.backoff import longest_wait, restart_delay
from m10actors.supervision.exits import MESSAGE_LIMIT
from m10actors.supervision.intensity import add_restart
from m10actors.supervision.liveness import Vitals, stuck
from m10actors.supervision.stacks import stack_of


def test_as_many_restarts_as_the_intensity_are_allowed_and_one_more_is_not() -> None:
    restarts: tuple[float, ...] = ()
    verdicts = []
    for now in (0.0, 1.0, 2.0, 3.0):
        restarts, exceeded = add_restart(restarts, now, intensity=3, period=60.0)
        verdicts.append(exceeded)
    assert verdicts == [False, False, False, True]


def test_restarts_older_than_the_period_are_forgotten() -> None:
    assert add_restart((0.0, 50.0), 61.0, intensity=2, period=60.0) == ((50.0, 61.0), False)
    assert add_restart((1.0, 50.0), 61.0, intensity=2, period=60.0) == ((1.0, 50.0, 61.0), True)


def test_an_intensity_of_zero_allows_no_restart() -> None:
    assert add_restart((), 0.0, intensity=0, period=1.0) == ((0.0,), True)


def test_the_first_restart_is_immediate_and_the_next_ones_double_up_to_the_cap() -> None:
    backoff = Backoff(base=1.0, cap=5.0)
    assert [restart_delay(backoff, n, chance=1.0) for n in (1, 2, 3, 4, 5)] == [0.0, 1.0, 2.0, 4.0, 5.0]
    assert restart_delay(backoff, 3, chance=0.0) == 1.0
    assert restart_delay(backoff, 10_000, chance=1.0) == 5.0
    assert longest_wait(backoff, 5) == 12.0
    assert longest_wait(backoff, 1_000_000) == pytest.approx(7.0 + 5.0 * (1_000_000 - 4))


class UnprintableError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("a: b"), "ValueError: a: b"),
        (SystemExit(), "SystemExit"),
        (UnprintableError(), "UnprintableError: <exception str() failed>"),
        (ValueError("x" * 10_000), "ValueError: " + "x" * MESSAGE_LIMIT),
    ],
    ids=["message", "no_message", "unprintable", "long"],
)
def test_a_crash_says_the_class_and_the_message(error: BaseException, text: str) -> None:
    assert str(Crashed.of(error)) == text


def test_a_thread_that_has_ended_has_no_stack_although_another_has_its_ident_now() -> None:
    ended = threading.Thread(target=lambda: None)
    ended.start()
    ended.join()
    ended._ident = threading.get_ident()  # type: ignore[attr-defined]
    assert stack_of(threading.current_thread())
    assert stack_of(ended) == ""


@pytest.mark.parametrize(
    ("vitals", "verdict"),
    [
        (Vitals(None, 0.0, None, thread_alive=True), None),
        (Vitals(95.0, 0.0, None, thread_alive=True), None),
        (Vitals(80.0, 95.0, None, thread_alive=True), None),
        (Vitals(80.0, 70.0, None, thread_alive=True), "no progress for 20.0 s in one message"),
        (Vitals(None, 0.0, 97.0, thread_alive=True), None),
        (Vitals(80.0, 70.0, 94.0, thread_alive=True), "ending for 6.0 s"),
        (Vitals(None, 0.0, None, thread_alive=False), "its thread died without a word"),
    ],
    ids=["idle", "busy", "busy_and_says_so", "stalled", "ending", "stuck_in_its_end", "vanished"],
)
def test_a_child_is_stuck_when_it_makes_no_progress(vitals: Vitals, verdict: str | None) -> None:
    assert stuck(vitals, now=100.0, stall_after=10.0, shutdown=5.0) == verdict


@pytest.mark.parametrize(
    ("busy_since", "progress_at", "stall_after", "verdict"),
    [
        (None, 71.0, None, None),
        (None, 69.0, None, "no sign for 31.0 s, owed every 10 s"),
        (None, 69.0, 90.0, "no sign for 31.0 s, owed every 10 s"),
        (71.0, 60.0, None, None),
        (69.0, 60.0, None, "no progress for 31.0 s in one message"),
        (69.0, 60.0, 90.0, None),
        (69.0, 60.0, 20.0, "no progress for 31.0 s in one message"),
        (60.0, 71.0, 30.0, None),
    ],
    ids=["ticks", "deaf", "deaf_whatever_a_message_may_take", "busy", "stalled", "declared", "over_it", "says_so"],
)
def test_silence_for_three_periods_is_too_long_but_for_a_message_that_may_take_longer(
    busy_since: float | None, progress_at: float, stall_after: float | None, verdict: str | None
) -> None:
    vitals = Vitals(busy_since, progress_at, None, thread_alive=True)
    assert stuck(vitals, now=100.0, stall_after=stall_after, shutdown=5.0, period=10.0) == verdict


def test_without_stall_after_a_message_may_take_for_ever() -> None:
    assert stuck(Vitals(0.0, 0.0, None, thread_alive=True), now=1e9, stall_after=None, shutdown=5.0) is None


def nobody(name: str, **spec: float) -> ChildSpec:
    return ChildSpec(name, start=lambda _: pytest.fail("started"), **spec)  # type: ignore[arg-type]


def test_a_good_tree_has_no_problems() -> None:
    check(SupervisorSpec("root", (nobody("a"), SupervisorSpec("below", (nobody("b", stall_after=3.0),)))))


def test_every_problem_of_the_whole_tree_is_said_at_once() -> None:
    below = SupervisorSpec("below", (nobody("a"), nobody("")), period=0.0, intensity=-1)
    slow = SupervisorSpec("slow", (), backoff=Backoff(base=10.0, cap=60.0), intensity=5)
    with pytest.raises(InvalidSpec) as raised:
        check(
            SupervisorSpec(
                "root",
                (
                    nobody("a", shutdown=-1.0, start_timeout=math.nan, stall_after=0.0),
                    below,
                    slow,
                    nobody("b c", shutdown=math.inf),
                ),
                backoff=Backoff(base=2.0, cap=1.0),
            )
        )
    assert raised.value.problems == (
        "the id 'a' stands 2 times",
        "root: backoff must have 0 < base <= cap, got base 2.0 and cap 1.0",
        "a: shutdown must be 0 seconds or more, got -1.0",
        "a: start_timeout must be more than 0 seconds, got nan",
        "a: stall_after must be more than 0 seconds, got 0.0",
        "below: intensity must be 0 or more, got -1",
        "below: period must be more than 0 seconds, got 0.0",
        ": an id must be printable, without spaces, not empty, got ''",
        "slow: backoff can wait 130 s over 5 restarts, past the period of 60 s",
        "b c: an id must be printable, without spaces, not empty, got 'b c'",
        "b c: shutdown must be 0 seconds or more, got inf",
    )


def test_a_supervisor_has_the_time_that_its_children_have_together() -> None:
    below = SupervisorSpec("below", (nobody("b", shutdown=2.0, start_timeout=1.0),))
    root = SupervisorSpec("root", (nobody("a", shutdown=3.0, start_timeout=4.0), below))
    assert root.shutdown == 3.0 + (2.0 + 1.0) + 1.0
    assert root.start_timeout == (4.0 + 3.0) + (1.0 + 2.0 + 1.0) + 3.0 + 1.0
