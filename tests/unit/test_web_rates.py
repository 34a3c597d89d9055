"""Token buckets: how often somebody may ask."""

from hypothesis import given
from hypothesis import strategies as st

from m10actors.web.rates import Buckets


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_burst_is_let_through_and_then_one_for_each_period() -> None:
    clock = Clock()
    buckets = Buckets(rate=2.0, burst=3, clock=clock)
    assert [buckets.take("a") for _ in range(4)] == [0, 0, 0, 0.5]
    assert buckets.take("b") == 0
    clock.now = 0.25
    assert buckets.take("a") == 0.25
    clock.now = 0.5
    assert [buckets.take("a"), buckets.take("a")] == [0, 0.5]


def test_what_is_given_back_may_be_taken_again() -> None:
    buckets = Buckets(rate=1.0, burst=1, clock=Clock())
    assert buckets.take("a") == 0
    buckets.give_back("a")
    buckets.give_back("unknown")
    assert [buckets.take("a"), buckets.take("a")] == [0, 1]


@given(st.floats(0.1, 1000), st.integers(1, 100), st.lists(st.floats(0, 10), max_size=200))
def test_never_more_than_the_burst_and_what_the_time_allows(rate: float, burst: int, pauses: list[float]) -> None:
    clock = Clock()
    buckets = Buckets(rate, burst, clock)
    taken = 0
    for pause in pauses:
        clock.now += pause
        wait = buckets.take("a")
        taken += wait == 0
        assert 0 <= wait <= 1 / rate + 1e-9
    assert taken <= burst + clock.now * rate + 1e-6
