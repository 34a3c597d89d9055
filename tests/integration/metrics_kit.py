"""What a scrape shows, and how it moved."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from pipeline_kit import World, parts_of
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from supervisor_kit import root
from supervisor_kit import running as tree_of

from m10actors import metrics
from m10actors.actors.metrics_collector import MetricsCollector
from m10actors.application import Parts
from m10actors.instruments import Bounded
from m10actors.supervision import ChildSpec
from m10actors.testing.waiting import eventually

INTERVAL = timedelta(milliseconds=10)


@pytest.fixture(autouse=True)
def few_values(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever other tests of this process reported: what is reported now is a value of its own, not `other`."""
    for name in ("source_label", "event_type_label", "aggregate_label", "lock_label"):
        monkeypatch.setattr(metrics, name, Bounded())


def scrape() -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """The value of each series, by its name and labels; of a histogram its count, under the name of the histogram."""
    found = {}
    for family in text_string_to_metric_families(generate_latest(metrics.REGISTRY).decode()):
        for sample in family.samples:
            name = sample.name
            if family.type == "histogram":
                if not name.endswith("_count"):
                    continue
                name = name.removesuffix("_count")
            found[name, frozenset(sample.labels.items())] = sample.value
    return found


class Moved:
    """Which series have grown or changed since it was made."""

    def __init__(self) -> None:
        self._before = scrape()

    def by(self, name: str, **labels: str) -> float:
        key = (name, frozenset(labels.items()))
        return scrape().get(key, 0.0) - self._before.get(key, 0.0)

    def wait_for(self, name: str, by: float | None = None, **labels: str) -> None:
        """Until the series moved: by so much, or at all."""
        try:
            eventually(lambda: self.by(name, **labels) == by if by is not None else self.by(name, **labels) != 0)
        except AssertionError:
            raise AssertionError(f"{name}{labels} moved by {self.by(name, **labels)}, expected {by}") from None


def value(name: str, **labels: str) -> float | None:
    """What a series shows; None where it is absent."""
    return scrape().get((name, frozenset(labels.items())))


def shows(name: str, wanted: Callable[[float], bool], **labels: str) -> None:
    """Waits until the series is there and as wanted."""
    eventually(lambda: (found := value(name, **labels)) is not None and wanted(found))


@contextmanager
def collecting(world: World, **changed: Any) -> Iterator[Parts]:
    """A collector that samples all the time, and no other actor. `a__b` sets key `a.b`."""
    parts = parts_of(world, **changed)
    parts.open()
    child = ChildSpec(
        "metrics_collector", start=lambda link: MetricsCollector.start(link, parts.metrics, parts.monitor, INTERVAL)
    )
    try:
        with tree_of(root(child)):
            yield parts
    finally:
        parts.close()
