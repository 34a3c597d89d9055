"""Figures of the destinations, made of what the gate before them knows when they are scraped."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from m10actors.delivery import Condition
from m10actors.delivery.breaker import State

Family: TypeAlias = CounterMetricFamily | GaugeMetricFamily


@dataclass(frozen=True, slots=True)
class DestinationMetrics(Collector):
    """The labels are names of the configuration, and closed sets."""

    conditions: Callable[[], Sequence[Condition]]

    def describe(self) -> Iterator[Family]:
        yield CounterMetricFamily(
            "m10_destination_attempts_total",
            "Requests of the delivery by how they ended.",
            labels=("destination", "outcome"),
        )
        yield CounterMetricFamily(
            "m10_destination_held_back_total",
            "Events sent back because their destination could not take one.",
            labels=("destination",),
        )
        yield GaugeMetricFamily(
            "m10_destination_breaker",
            "1 for the state that the circuit breaker of a destination is in.",
            labels=("destination", "breaker"),
        )
        yield GaugeMetricFamily(
            "m10_destination_concurrency",
            "Requests that a destination is given at once at present, at most.",
            labels=("destination",),
        )
        yield GaugeMetricFamily(
            "m10_destination_on_way", "Requests that are on their way to a destination.", labels=("destination",)
        )
        yield GaugeMetricFamily(
            "m10_destination_seconds",
            "Quantiles of the last 256 requests to a destination.",
            labels=("destination", "quantile"),
        )

    def collect(self) -> Iterator[Family]:
        attempts, held_back, breaker, concurrency, on_way, seconds = families = tuple(self.describe())
        for each in self.conditions():
            attempts.add_metric((each.name, "delivered"), each.delivered)
            attempts.add_metric((each.name, "failed"), each.failed)
            held_back.add_metric((each.name,), each.held_back)
            for state in State:
                breaker.add_metric((each.name, state), each.breaker == state)
            concurrency.add_metric((each.name,), each.concurrency)
            on_way.add_metric((each.name,), each.on_way)
            for quantile, value in (("0.5", each.p50_seconds), ("0.99", each.p99_seconds)):
                if value is not None:
                    seconds.add_metric((each.name, quantile), value)
        yield from families
