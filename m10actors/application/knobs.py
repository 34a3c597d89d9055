"""Child specs and supervisor specs as the configuration wants them."""

from collections.abc import Callable, Set
from typing import Any

import pykka

from m10actors.config import Settings
from m10actors.supervision import Backoff, ChildSpec, Link, Strategy, SupervisorSpec
from m10actors.supervision.liveness import SILENT_PERIODS

Start = Callable[[Link], pykka.ActorRef[Any]]


class Knobs:
    """Specs with the strategy, intensity, deadlines and stall limits of the configuration."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def supervisor(
        self,
        child_id: str,
        *children: ChildSpec | SupervisorSpec,
        stop_together: bool = False,
        needs: Set[str] = frozenset(),
    ) -> SupervisorSpec:
        knobs = getattr(self._settings.tree, child_id)
        return SupervisorSpec(
            id=child_id,
            children=children,
            strategy=Strategy(knobs.strategy),
            intensity=knobs.intensity,
            period=knobs.period.total_seconds(),
            backoff=Backoff(knobs.backoff.total_seconds(), knobs.backoff_max.total_seconds()),
            stop_together=stop_together,
            needs=frozenset(needs),
        )

    def child(
        self,
        child_id: str,
        start: Start,
        *,
        kind: str | None = None,
        needs: Set[str] = frozenset(),
        ticks: bool = True,
    ) -> ChildSpec:
        """`kind`: the table of the configuration, where it is not the id itself. `ticks`: it has work of its own to do
        now and then, so that one that shows no sign has lost its tick.
        """
        knobs = getattr(self._settings.tree, kind or child_id)
        stall_after = self._settings.stall_after(kind or child_id).total_seconds()
        return ChildSpec(
            id=child_id,
            start=start,
            shutdown=knobs.shutdown.total_seconds(),
            start_timeout=knobs.start_timeout.total_seconds(),
            stall_after=stall_after,
            period=stall_after / SILENT_PERIODS if ticks else None,
            needs=frozenset(needs),
        )

    def pool(
        self, name: str, size: int, start: Start, *, kind: str | None = None, ticks: bool = True
    ) -> list[ChildSpec]:
        """`name.1` to `name.size`."""
        numbers = range(1, size + 1)
        return [self.child(f"{name}.{number}", start, kind=kind or name, ticks=ticks) for number in numbers]
