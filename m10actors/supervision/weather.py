"""What is down at the moment: the names that a child's `needs` refer to. Told from any thread, read by supervisors."""

import threading
from collections.abc import Iterable
from dataclasses import dataclass


class Weather:
    """Names that are down, each with the reason. Reads are of one immutable mapping, never of one that changes."""

    def __init__(self, down: Iterable[str] = ()) -> None:
        self._down = dict.fromkeys(down, "down at the start")
        self._lock = threading.Lock()

    @property
    def down(self) -> frozenset[str]:
        """All names that are down."""
        return frozenset(self._down)

    def why(self, names: Iterable[str]) -> str:
        """The reasons of these, each name with its own; those that are up meanwhile are left out."""
        down = self._down
        return "; ".join(f"{name}: {down[name]}" if down[name] else name for name in sorted(names) if name in down)

    def report(self, name: str, *, up: bool, why: str) -> bool:
        """Notes that `name` is up or down; whether that is news."""
        with self._lock:
            before = self._down
            if up:
                self._down = {other: reason for other, reason in before.items() if other != name}
            else:
                self._down = before | {name: why}
            return (name in before) is up


@dataclass(frozen=True, slots=True)
class WeatherChanged:
    """Told to every supervisor: something went down or came up."""
