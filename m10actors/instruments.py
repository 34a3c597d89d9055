"""What the metrics are made of beside the counters and histograms of prometheus_client: labels that cannot grow without
bound, and gauges that are absent rather than wrong.
"""

import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

MAX_VALUES: Final = 50
MAX_LENGTH: Final = 100
OTHER: Final = "other"


class Bounded:
    """Turns values that come from outside into labels: the first MAX_VALUES of them, each cut to MAX_LENGTH characters,
    and `other` for all that come later.
    """

    def __init__(self) -> None:
        self._seen: set[str] = set()
        self._lock = threading.Lock()

    def __call__(self, value: str | None) -> str:
        value = (value or "")[:MAX_LENGTH]
        if value in self._seen:
            return value
        with self._lock:
            if len(self._seen) >= MAX_VALUES and value not in self._seen:
                return OTHER
            self._seen.add(value)
            return value


class Batched(Histogram):
    """A histogram that takes many values at once: a lock for each bucket that they fall into, not two for each."""

    def observe_all(self, values: Sequence[float]) -> None:
        """As `observe` for each of them."""
        buckets = Counter(bisect_left(self._upper_bounds, value) for value in values)
        self._sum.inc(sum(values))
        for bucket, times in buckets.items():
            self._buckets[bucket].inc(times)


class Sampled(Collector):
    """A gauge that somebody looks up now and then. It has no value, and is absent from a scrape, until it is first set
    and after it was cleared: what cannot be known must look neither healthy nor as it was.

    With a label it has one value for each of `values`' keys and forgets those that are not given again.
    """

    def __init__(self, registry: CollectorRegistry, name: str, text: str, *labels: str) -> None:
        self._name = name
        self._text = text
        self._labels = labels
        self._values: Mapping[str, float] = {}
        registry.register(self)

    @property
    def value(self) -> float | None:
        """Of a gauge without a label: what it shows."""
        return self._values.get("")

    def set(self, value: float) -> None:
        """Of a gauge without a label."""
        self._values = {"": value}

    def set_each(self, values: Mapping[str, float]) -> None:
        """Of a gauge with a label: by the value of the label."""
        self._values = dict(values)

    def clear(self) -> None:
        self._values = {}

    def describe(self) -> Iterator[GaugeMetricFamily]:
        yield GaugeMetricFamily(self._name, self._text, labels=self._labels)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        [family] = self.describe()
        for label, value in self._values.items():
            family.add_metric([label] if self._labels else [], value)
        yield family
