"""What protects a destination, and the others from it: breaker, window, buckets, valve, gate."""

import math
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from m10actors.delivery import Dead, Delivered, Gate, Held, Limits, Outcome, ReceiverAhead, Retry
from m10actors.delivery.breaker import Breaker, State, Thresholds
from m10actors.delivery.bucket import Bucket
from m10actors.delivery.concurrency import Window
from m10actors.delivery.valve import LEAST_PAUSE, RETRY_RESERVE, Pass, Valve

TAKEN = Delivered(200, running=False, excerpt="")
SILENT = Retry("deadline", counted=True)
REFUSED = Retry("network: ECONNREFUSED", counted=False)


def answered(status: int) -> Retry:
    return Retry(f"http_{status}", counted=True, status=status)


def opened(failures: int = 5, now: float = 0.0) -> Breaker:
    breaker = Breaker()
    for _ in range(failures):
        breaker = breaker.failed(now, Thresholds(failures), probe=False)
    return breaker


def test_a_breaker_opens_after_so_many_failures_in_a_row_and_not_before() -> None:
    assert opened(4).state is State.OPEN
    breaker = Breaker()
    for _ in range(4):
        breaker = breaker.failed(0, Thresholds(5), probe=False)
    assert breaker.state is State.CLOSED
    assert breaker.succeeded(probe=False) == Breaker()


def test_one_probe_passes_when_the_pause_is_over_and_decides() -> None:
    breaker = opened()
    assert breaker.wait(4.9) == pytest.approx(0.1)
    assert breaker.wait(5.0) == 0
    probing = breaker.entered(5.0, longest_attempt=30)
    assert (probing.state, probing.wait(5.1) > 0) == (State.HALF_OPEN, True)
    assert probing.succeeded(probe=True) == Breaker()
    again = probing.failed(6.0, Thresholds(), probe=True)
    assert (again.state, again.wait(6.0)) == (State.OPEN, 10.0)


def test_what_began_before_it_opened_neither_closes_it_nor_lengthens_its_pause() -> None:
    breaker = opened()
    assert breaker.succeeded(probe=False) == breaker
    assert breaker.failed(1.0, Thresholds(), probe=False).until == breaker.until


def test_a_probe_whose_worker_crashed_is_followed_by_another() -> None:
    assert opened().entered(5.0, longest_attempt=30).wait(35.0) == 0


def test_pauses_double_up_to_five_minutes() -> None:
    breaker, now, pauses = opened(), 0.0, []
    for _ in range(10):
        pauses.append(breaker.wait(now))
        now += breaker.wait(now)
        breaker = breaker.entered(now, 30).failed(now, Thresholds(), probe=True)
    assert pauses == [5, 10, 20, 40, 80, 160, 300, 300, 300, 300]


def test_a_window_halves_once_for_what_was_on_its_way_together_and_grows_by_one_for_each_round() -> None:
    window = Window.of(8)
    for _ in range(8):
        window = window.after(0.0, 1.0, overloaded=True)
    assert window.slots == 4
    for _ in range(4):
        window = window.after(2.0, 2.01, overloaded=False)
    assert 4.9 < window.size <= 5.0


def test_an_answer_that_takes_far_longer_than_usual_narrows_the_window() -> None:
    window = Window.of(8).after(0.0, 0.1, overloaded=False)
    assert window.after(1.0, 1.3, overloaded=False).slots == 8
    assert window.after(1.0, 1.6, overloaded=False).slots == 4


def test_another_ceiling_keeps_what_was_learned() -> None:
    assert Window.of(8).with_ceiling(20).slots == 20
    narrow = Window.of(8).after(0.0, 1.0, overloaded=True)
    assert narrow.with_ceiling(20).slots == 4
    assert narrow.with_ceiling(2).slots == 2


@given(
    ceiling=st.integers(1, 100),
    attempts=st.lists(st.tuples(st.floats(0, 100), st.floats(0, 100), st.booleans()), max_size=60),
)
def test_a_window_stays_between_one_and_its_ceiling(ceiling: int, attempts: list[tuple[float, float, bool]]) -> None:
    window = Window.of(ceiling)
    for began, seconds, overloaded in attempts:
        window = window.after(began, began + seconds, overloaded=overloaded)
        assert 1 <= window.slots <= ceiling


@given(
    rate=st.floats(0.1, 1000),
    burst=st.floats(1, 100),
    gaps=st.lists(st.floats(0, 10), min_size=1, max_size=100),
)
def test_a_bucket_gives_no_more_than_its_burst_and_its_rate(rate: float, burst: float, gaps: list[float]) -> None:
    bucket, taken = Bucket.full(rate, burst, 0.0), 0
    now = 0.0
    for gap in gaps:
        now += gap
        bucket = bucket.filled(now)
        if not bucket.wait:
            bucket, taken = bucket.plus(-1), taken + 1
    assert taken <= burst + rate * now + 1e-6


@pytest.mark.parametrize(
    ("outcome", "fails"),
    [
        (TAKEN, False),
        (ReceiverAhead(412, ""), False),
        (Dead("http_400", 400), False),
        (Dead("destination_not_allowed"), True),
        (answered(404), False),
        (answered(429), False),
        (answered(503), True),
        (SILENT, True),
        (REFUSED, True),
    ],
)
def test_what_counts_as_a_failure_of_the_destination(outcome: Outcome, fails: bool) -> None:
    valve = Valve.of(Limits(breaker=Thresholds(failures=1)), 0.0)
    valve, passed = valve.admit(0.0, 30, is_retry=False)
    assert isinstance(passed, Pass)
    assert (valve.left(passed, outcome, 0.1).breaker.state is State.OPEN) is fails


@pytest.mark.parametrize(("outcome", "slots"), [(TAKEN, 8), (REFUSED, 8), (SILENT, 4)] + [
    (answered(status), 4) for status in (429, 502, 503, 504)
])  # fmt: skip
def test_what_narrows_the_window(outcome: Outcome, slots: int) -> None:
    valve, passed = Valve.of(Limits(concurrency=8), 0.0).admit(0.0, 30, is_retry=False)
    assert isinstance(passed, Pass)
    assert valve.left(passed, outcome, 0.1).window.slots == slots


def test_retries_are_a_share_of_first_attempts_beyond_the_reserve() -> None:
    valve = Valve.of(Limits(concurrency=1000, retry_share=0.5), 0.0)

    def passes(count: int, *, is_retry: bool) -> int:
        nonlocal valve
        passed = 0
        for _ in range(count):
            valve, admitted = valve.admit(0.0, 30, is_retry=is_retry)
            if isinstance(admitted, Pass):
                passed, valve = passed + 1, valve.left(admitted, answered(404), 0.0)
        return passed

    assert passes(100, is_retry=True) == RETRY_RESERVE
    assert passes(10, is_retry=False) == 10
    assert passes(100, is_retry=True) == 5
    _, refused = valve.admit(0.0, 30, is_retry=True)
    assert isinstance(refused, Held)
    assert refused.why == "retry_budget"


def test_a_retry_that_is_delivered_costs_the_budget_nothing() -> None:
    """After an hour of 401 there are ten thousand of them: they must not go one a second."""
    valve = Valve.of(Limits(concurrency=10), 0.0)
    for _ in range(1000):
        valve, admitted = valve.admit(0.0, 30, is_retry=True)
        assert isinstance(admitted, Pass)
        valve = valve.left(admitted, TAKEN, 0.0)


def test_one_answer_of_410_keeps_what_else_is_in_hand_from_hearing_the_same() -> None:
    valve, passed = Valve.of(Limits(), 0.0).admit(0.0, 30, is_retry=False)
    assert isinstance(passed, Pass)
    valve = valve.left(passed, Dead("http_410", 410, pause_destination=True), 0.1)
    assert isinstance(valve.admit(0.1, 30, is_retry=False)[1], Held)


def test_those_that_a_rate_sends_back_come_again_at_that_rate() -> None:
    valve, _ = Valve.of(Limits(rate=1), 0.0).admit(0.0, 30, is_retry=False)
    waits = []
    for _ in range(20):
        valve, held = valve.admit(0.0, 30, is_retry=False)
        assert isinstance(held, Held)
        waits.append(held.seconds)
    assert waits[-1] == pytest.approx(20)


@pytest.mark.parametrize(("asked", "waits"), [(timedelta(seconds=40), 40), (timedelta(hours=24), 300)])
def test_a_receiver_that_asks_for_time_is_left_alone_as_a_whole(asked: timedelta, waits: float) -> None:
    """Retry-After, at most 5 min at a time: what is on its way when it answers does not shorten it."""
    valve = Valve.of(Limits(), 0.0)
    valve, first = valve.admit(0.0, 30, is_retry=False)
    valve, second = valve.admit(0.0, 30, is_retry=False)
    assert isinstance(first, Pass)
    assert isinstance(second, Pass)
    valve = valve.left(first, Retry("http_429", True, asked, 429), 1.0).left(second, TAKEN, 2.0)
    held = valve.closed_for(2.0)
    assert held is not None
    assert (held.why, held.seconds) == ("retry_after", pytest.approx(waits - 1))
    assert valve.closed_for(1.0 + waits) is None
    assert valve.breaker.state is State.CLOSED


def test_a_probe_may_be_a_retry_whatever_the_budget_says() -> None:
    valve = Valve.of(Limits(breaker=Thresholds(failures=1)), 0.0)
    valve, passed = valve.admit(0.0, 30, is_retry=False)
    assert isinstance(passed, Pass)
    valve = valve.left(passed, SILENT, 0.0)
    assert valve.admit(1.0, 30, is_retry=True)[1] == Held("breaker_open", 4.0)
    valve, probe = valve.admit(5.0, 30, is_retry=True)
    assert probe == Pass(5.0, probe=True)
    _, behind = valve.admit(5.0, 30, is_retry=False)
    assert behind == Held("breaker_open", LEAST_PAUSE)


def test_those_that_are_sent_back_come_again_one_after_another() -> None:
    valve, _ = Valve.of(Limits(concurrency=1), 0.0).admit(0.0, 30, is_retry=False)
    waits = []
    for _ in range(100):
        valve, held = valve.admit(0.0, 30, is_retry=False)
        assert isinstance(held, Held)
        waits.append(held.seconds)
    assert waits == sorted(waits)
    assert waits[-1] == pytest.approx(100 * 0.05)


def test_those_behind_a_silent_destination_come_again_ever_more_slowly() -> None:
    valve, _ = Valve.of(Limits(concurrency=1), 0.0).admit(0.0, 30, is_retry=False)
    tries = 0
    now = 0.0
    while now < 30:
        valve, held = valve.admit(now, 30, is_retry=False)
        assert isinstance(held, Held)
        now, tries = now + held.seconds, tries + 1
    assert tries < 15


def test_a_rate_is_kept() -> None:
    valve, passed = Valve.of(Limits(concurrency=100, rate=2), 0.0), 0
    for tenth in range(101):
        valve, admitted = valve.admit(tenth / 10, 30, is_retry=False)
        passed += isinstance(admitted, Pass)
    assert passed in {20, 21, 22}


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_last_quarter_of_the_workers_is_for_those_that_have_nothing_on_their_way() -> None:
    gate, wide = Gate(workers=8, clock=Clock()), Limits(concurrency=8)
    inside = [gate.through(name, wide, 30, is_retry=False) for name in "ababababab"]
    admitted = [isinstance(each.__enter__(), Held) for each in inside]
    assert admitted == [False] * 6 + [True] * 4
    assert gate.held() == {"a": 0.0, "b": 0.0}
    with gate.through("healthy", wide, 30, is_retry=False) as healthy:
        assert not isinstance(healthy, Held)


def test_a_single_destination_has_all_workers() -> None:
    gate = Gate(workers=4)
    inside = [gate.through("a", Limits(concurrency=4), 30, is_retry=False) for _ in range(5)]
    assert [isinstance(each.__enter__(), Held) for each in inside] == [False] * 4 + [True]


def test_an_attempt_that_raises_gives_its_slot_back_and_says_nothing() -> None:
    gate = Gate()
    with pytest.raises(ZeroDivisionError), gate.through("a", Limits(), 30, is_retry=False):
        raise ZeroDivisionError
    condition = gate.condition("a", Limits())
    assert (condition.on_way, condition.failed, condition.failure_ratio) == (0, 0, None)


def test_a_condition_says_how_a_destination_does() -> None:
    clock = Clock()
    gate = Gate(clock=clock)
    for number in range(100):
        with gate.through("a", Limits(), 30, is_retry=False) as admitted:
            assert not isinstance(admitted, Held)
            clock.now += 0.001 * (number + 1)
            admitted.ended(TAKEN if number % 4 else answered(404))
    condition = gate.condition("a", Limits())
    assert (condition.delivered, condition.failed, condition.failure_ratio) == (75, 25, 0.25)
    assert condition.p50_seconds == pytest.approx(0.051)
    assert condition.p99_seconds == pytest.approx(0.1)
    assert gate.held() == {}


class ValveMachine(RuleBasedStateMachine):
    """Any order of events, outcomes and time."""

    limits = Limits(concurrency=3, breaker=Thresholds(failures=2, pause=4.0, longest=30.0))

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.valve = Valve.of(self.limits, 0.0)
        self.on_way: list[Pass] = []

    @rule(seconds=st.floats(0, 60))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(is_retry=st.booleans())
    def an_event_comes(self, is_retry: bool) -> None:
        was = self.valve
        self.valve, admitted = was.admit(self.now, 30, is_retry=is_retry)
        if isinstance(admitted, Pass):
            assert admitted.probe is (was.breaker.state is not State.CLOSED)
            self.on_way.append(admitted)
        else:
            assert 0 < admitted.seconds <= 300
            assert math.isfinite(self.valve.next_slot)

    @precondition(lambda self: self.on_way)
    @rule(outcome=st.sampled_from([TAKEN, SILENT, REFUSED, answered(429), answered(500)]), which=st.integers(0, 9))
    def an_attempt_ends(self, outcome: Outcome, which: int) -> None:
        passed = self.on_way.pop(which % len(self.on_way))
        self.valve = self.valve.left(passed, outcome, self.now)

    @precondition(lambda self: self.on_way)
    @rule()
    def a_worker_crashes(self) -> None:
        self.on_way.pop()
        self.valve = self.valve.abandoned()

    @invariant()
    def as_many_are_on_their_way_as_were_let_through(self) -> None:
        assert self.valve.on_way == len(self.on_way) <= 3

    @invariant()
    def it_takes_events_again_at_last(self) -> None:
        if not self.on_way:
            assert self.valve.closed_for(self.now + 31) is None


ValveMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestValve = ValveMachine.TestCase
