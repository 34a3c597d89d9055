"""W8: from the start of the process to its first answer, the memory that it holds at rest, and what a drain adds."""

from collections.abc import Sequence

from bench.process import bare_endpoint, m10_run
from bench.stage import Stage
from m10actors.testing.waiting import eventually

MESSAGES = 1_000_000
TIMES = 50
"""So often each candidate is told of: the first message is an evaluation, the others find it done."""
MOST_ADDED_MB = 50


class Process:
    """`m10 run` until it is ready, then until it has worked off a million messages. By hand: the bare endpoint, with
    the same libraries; what a drain adds at its highest has a fixed limit, the same for any number of messages.
    """

    figures = (("W8 start-up", "s"), ("W8 memory at rest", "MB"), ("W8 memory that a drain adds", "MB"))

    def __init__(self, stage: Stage, scale: float) -> None:
        self._stage = stage
        self._candidates = int(MESSAGES * scale) // TIMES

    def ours(self) -> Sequence[float]:
        with self._stage.without_delivery(), m10_run(self._stage) as served:
            at_rest = served.resident_mb
            self._drain()
            figures = [served.seconds, at_rest, served.peak_mb - at_rest]
        self._stage.forget(events=self._candidates)
        return figures

    def by_hand(self) -> Sequence[float]:
        with bare_endpoint(self._stage) as served:
            return [served.seconds, served.resident_mb, MOST_ADDED_MB]

    def _drain(self) -> None:
        due = self._stage.due(self._candidates)
        for _ in range(TIMES):
            self._stage.announce(due)
        eventually(self._stage.stream_is_empty, within=3600, every=0.05)
