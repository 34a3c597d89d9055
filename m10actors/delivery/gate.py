"""The gate before each destination: what the valves decide, kept for all threads, and what they saw."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from m10actors.delivery.outcome import Delivered, Held, Outcome
from m10actors.delivery.valve import Limits, Pass, Valve

_KEPT = 256
_LAST_PART = 4
"""One worker of so many is kept for destinations that have nothing on its way."""
_BUSY = Held("busy", 0.0)


@dataclass(frozen=True, slots=True)
class Condition:
    """A destination as the gate knows it. Counts are those since the start; seconds and the ratio are those of the last
    256 attempts at most, None before the first.
    """

    name: str
    breaker: str
    closed_because: str | None
    closed_seconds: float
    concurrency: int
    concurrency_limit: int
    on_way: int
    delivered: int
    failed: int
    held_back: int
    p50_seconds: float | None
    p99_seconds: float | None
    failure_ratio: float | None


@dataclass(slots=True)
class _Seen:
    """One destination's valve and the last of its attempts: (seconds, whether it was delivered)."""

    valve: Valve
    last: deque[tuple[float, bool]] = field(default_factory=lambda: deque(maxlen=_KEPT))
    delivered: int = 0
    failed: int = 0
    held_back: int = 0


class Admission:
    """One attempt that was let through; `ended` tells what it came to."""

    def __init__(self) -> None:
        self.outcome: Outcome | None = None

    def ended(self, outcome: Outcome) -> Outcome:
        self.outcome = outcome
        return outcome


class Gate:
    """Lets events through to destinations, or says when to ask again. Thread-safe; never waits.

    `workers`: attempts that all destinations together can have on their way. Of several destinations, one that has
    something on its way never gets the last quarter of them, so that many that hang leave room for those that do not.
    """

    def __init__(self, workers: int | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._workers = workers
        self._clock = clock
        self._lock = threading.Lock()
        self._seen: dict[str, _Seen] = {}

    @contextmanager
    def through(self, name: str, limits: Limits, timeout: float, *, is_retry: bool) -> Iterator[Admission | Held]:
        """An attempt at the destination `name`, or the Held that stands for none. An attempt of which no outcome is
        told (its worker crashes) counts as a failure of nobody: it only gives its slot back.
        """
        admitted = self._enter(name, limits, timeout, is_retry=is_retry)
        if isinstance(admitted, Held):
            yield admitted
            return
        admission = Admission()
        try:
            yield admission
        finally:
            self._leave(name, admitted, admission.outcome)

    def held(self) -> dict[str, float]:
        """The destinations that take nothing now, each with the seconds until it may: their events need not even be
        claimed.
        """
        with self._lock:
            now = self._clock()
            closed = {name: self._closed(seen, now) for name, seen in self._seen.items()}
            return {name: held.seconds for name, held in closed.items() if held is not None}

    def condition(self, name: str, limits: Limits) -> Condition:
        """How the destination `name` does under its present `limits`."""
        with self._lock:
            now = self._clock()
            seen = self._seen.get(name) or _Seen(Valve.of(limits, now))
            return self._condition(name, replace(seen, valve=seen.valve.under(limits, now)), now)

    def _enter(self, name: str, limits: Limits, timeout: float, *, is_retry: bool) -> Pass | Held:
        with self._lock:
            now = self._clock()
            seen = self._seen.get(name)
            if seen is None:
                seen = self._seen[name] = _Seen(Valve.of(limits, now))
            valve = seen.valve.under(limits, now)
            admitted: Pass | Held
            if self._is_last_part(valve):
                seen.valve, admitted = valve.refuse(_BUSY, now)
            else:
                seen.valve, admitted = valve.admit(now, timeout, is_retry=is_retry)
            seen.held_back += isinstance(admitted, Held)
            return admitted

    def _leave(self, name: str, passed: Pass, outcome: Outcome | None) -> None:
        with self._lock:
            now = self._clock()
            seen = self._seen[name]
            if outcome is None:
                seen.valve = seen.valve.abandoned()
                return
            seen.valve = seen.valve.left(passed, outcome, now)
            delivered = isinstance(outcome, Delivered)
            seen.last.append((now - passed.at, delivered))
            seen.delivered += delivered
            seen.failed += not delivered

    def _closed(self, seen: _Seen, now: float) -> Held | None:
        return _BUSY if self._is_last_part(seen.valve) else seen.valve.closed_for(now)

    def _is_last_part(self, valve: Valve) -> bool:
        if self._workers is None or len(self._seen) < 2 or not valve.on_way:
            return False
        return sum(seen.valve.on_way for seen in self._seen.values()) >= self._workers - self._workers // _LAST_PART

    def _condition(self, name: str, seen: _Seen, now: float) -> Condition:
        valve, times = seen.valve, sorted(seconds for seconds, _ in seen.last)
        closed = self._closed(seen, now)
        return Condition(
            name=name,
            breaker=valve.breaker.state.value,
            closed_because=closed.why if closed else None,
            closed_seconds=closed.seconds if closed else 0.0,
            concurrency=valve.window.slots,
            concurrency_limit=valve.window.ceiling,
            on_way=valve.on_way,
            delivered=seen.delivered,
            failed=seen.failed,
            held_back=seen.held_back,
            p50_seconds=_quantile(times, 0.5),
            p99_seconds=_quantile(times, 0.99),
            failure_ratio=sum(not delivered for _, delivered in seen.last) / len(times) if times else None,
        )


def _quantile(ordered: list[float], part: float) -> float | None:
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))] if ordered else None
