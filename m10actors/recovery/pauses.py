"""Which parts of the engine an operator has paused: kept in PostgreSQL for the whole installation, seen here by each
process.
"""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Part(StrEnum):
    """What can be paused. `intake`: nothing due is taken, while ingest goes on. `delivery`: nobody leads. `jobs`: none
    is begun. `actions`: nothing is carried out that no person has approved.
    """

    INTAKE = "intake"
    DELIVERY = "delivery"
    JOBS = "jobs"
    ACTIONS = "actions"


@dataclass(frozen=True, slots=True)
class Pause:
    """One part that is paused, since when, until when (None: until it is resumed), by whom and why."""

    part: Part
    by: str
    reason: str | None
    since: datetime
    until: datetime | None

    def __str__(self) -> str:
        end = f" until {self.until:%Y-%m-%d %H:%M:%S %Z}" if self.until else ""
        return f"paused by {self.by}{end}: {self.reason or 'no reason was given'}"


Listener = Callable[[Part, Pause | None], object]
"""Told that a part is paused, with the pause, or that it is not (None). Must return at once."""


class Pauses:
    """The pauses as all threads of this process see them. Only their monitor calls `observe`."""

    def __init__(self) -> None:
        self._now: Mapping[Part, Pause] | None = None
        self._listeners: list[Listener] = []
        self._lock = threading.Lock()

    @property
    def now(self) -> tuple[Pause, ...]:
        """What is paused, as far as it is known."""
        return tuple((self._now or {}).values())

    @property
    def held_back(self) -> frozenset[Part]:
        """What must not run: what is paused, and everything as long as that is not known."""
        return frozenset(Part) if self._now is None else frozenset(self._now)

    def observe(self, pauses: Iterable[Pause]) -> Sequence[tuple[Part, Pause | None]]:
        """Keeps what was read; which parts were paused, otherwise than before, and which are not any more."""
        with self._lock:  # against a listener that is told what is known while that changes
            before, self._now = self._now, {pause.part: pause for pause in pauses}
            now = [(part, self._now.get(part)) for part in Part]
            changed = [(part, pause) for part, pause in now if (before or {}).get(part) != pause]
            for hear in self._listeners:
                for part, pause in now if before is None else changed:
                    hear(part, pause)
        return changed

    def subscribe(self, hear: Listener) -> None:
        """Tells `hear` at once how every part stands, if that is known, and then of every change, in their order."""
        with self._lock:
            self._listeners.append(hear)
            if self._now is not None:
                for part in Part:
                    hear(part, self._now.get(part))
