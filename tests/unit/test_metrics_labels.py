"""What the metrics are made of: bounded labels, values in batches, gauges that are absent rather than wrong."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram, generate_latest

from m10actors import metrics
from m10actors.instruments import MAX_LENGTH, MAX_VALUES, Batched, Bounded, Sampled


@given(st.lists(st.integers(0, 200)))
def test_the_first_fifty_values_are_labels_and_all_later_ones_are_other(numbers: list[int]) -> None:
    label = Bounded()
    labels = [label(f"value {number}") for number in numbers]
    first = set(list(dict.fromkeys(numbers))[:MAX_VALUES])
    assert labels == [f"value {number}" if number in first else "other" for number in numbers]


def test_a_label_is_bounded_from_many_threads_too() -> None:
    label = Bounded()
    with ThreadPoolExecutor(8) as pool:
        labels = set(pool.map(label, [f"value {number % 300}" for number in range(6000)]))
    assert len(labels) == MAX_VALUES + 1
    assert "other" in labels


@given(st.lists(st.sampled_from([-1, 0, 1, 2, 3]) | st.integers(0, 100)))
def test_values_that_come_at_once_are_counted_as_one_after_another(values: list[float]) -> None:
    bounds, together, alone = (1.0, 2.0, 10.0), CollectorRegistry(), CollectorRegistry()
    Batched("seconds", "s", registry=together, buckets=bounds).observe_all(values)
    each = Histogram("seconds", "s", registry=alone, buckets=bounds)
    for value in values:
        each.observe(value)
    assert figures(together) == figures(alone)


def figures(registry: CollectorRegistry) -> list[bytes]:
    """All but the moment at which they were made."""
    return [line for line in generate_latest(registry).splitlines() if b"_created" not in line]


def test_a_long_value_is_cut() -> None:
    assert Bounded()("x" * 5000) == "x" * MAX_LENGTH


@pytest.mark.parametrize(
    "label", [metrics.source_label, metrics.event_type_label, metrics.aggregate_label, metrics.lock_label]
)
def test_labels_that_come_from_outside_are_bounded(label: object) -> None:
    assert isinstance(label, Bounded)


def lines(registry: CollectorRegistry) -> Iterator[str]:
    return (line for line in generate_latest(registry).decode().splitlines() if not line.startswith("#"))


def test_a_sampled_gauge_is_absent_until_it_is_set_and_after_it_was_cleared() -> None:
    registry = CollectorRegistry()
    gauge = Sampled(registry, "depth", "How many.")
    assert (list(lines(registry)), gauge.value) == ([], None)
    gauge.set(3)
    assert (list(lines(registry)), gauge.value) == (["depth 3.0"], 3)
    gauge.clear()
    assert (list(lines(registry)), gauge.value) == ([], None)


def test_a_sampled_gauge_forgets_the_labels_that_are_not_given_again() -> None:
    registry = CollectorRegistry()
    gauge = Sampled(registry, "active", "Whether it is.", "lock_name")
    gauge.set_each({"one": 1.0, "two": 0.0})
    gauge.set_each({"two": 1.0})
    assert list(lines(registry)) == ['active{lock_name="two"} 1.0']


def test_two_metrics_cannot_have_one_name() -> None:
    registry = CollectorRegistry()
    Sampled(registry, "depth", "How many.")
    with pytest.raises(ValueError, match="depth"):
        Sampled(registry, "depth", "How many.")
