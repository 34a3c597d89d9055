"""Figures of the supervision tree, made of its snapshot when they are scraped: no store is asked, nothing is kept."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from m10actors.recovery.pauses import Part, Pauses
from m10actors.supervision import ChildState, Phase


@dataclass(frozen=True, slots=True)
class ActorMetrics(Collector):
    """The labels are child ids, which the configuration bounds, and closed sets."""

    snapshot: Callable[[], ChildState | None]
    pauses: Pauses

    def describe(self) -> Iterator[GaugeMetricFamily]:
        yield GaugeMetricFamily("m10_actor_state", "1 for the state that a child is in.", labels=("child", "state"))
        yield GaugeMetricFamily(
            "m10_actor_last_progress_seconds",
            "Time since a child last finished a message or said what it is doing.",
            labels=("child",),
        )
        yield GaugeMetricFamily("m10_threads_abandoned", "Threads that did not end when they had to, and still run.")
        yield GaugeMetricFamily("m10_paused", "1 while an operator has paused the part.", labels=("part",))

    def collect(self) -> Iterator[GaugeMetricFamily]:
        state, progress, abandoned, paused = self.describe()
        children = list(everyone(self.snapshot()))
        for child in children:
            for phase in Phase:
                state.add_metric((child.id, phase), child.phase is phase)
            if child.progress_age is not None:
                progress.add_metric((child.id,), child.progress_age)
        abandoned.add_metric((), sum(child.leaked for child in children))
        now = {pause.part for pause in self.pauses.now}
        for part in Part:
            paused.add_metric((part,), part in now)
        yield from (state, progress, abandoned, paused)


def everyone(state: ChildState | None) -> Iterator[ChildState]:
    """A child and all below it, in the order of their start."""
    if state is not None:
        yield state
        for child in state.children:
            yield from everyone(child)
