"""W8: from the start of the process to its first answer, and the memory that it holds at rest."""

from collections.abc import Sequence

from bench.process import bare_endpoint, m10_run
from bench.stage import Stage


class Process:
    """`m10 run` until it is ready; by hand: the bare endpoint, with the same libraries."""

    figures = (("W8 start-up", "s"), ("W8 memory at rest", "MB"))

    def __init__(self, stage: Stage, _scale: float) -> None:
        self._stage = stage

    def ours(self) -> Sequence[float]:
        with m10_run(self._stage) as served:
            return [served.seconds, served.resident_mb]

    def by_hand(self) -> Sequence[float]:
        with bare_endpoint(self._stage) as served:
            return [served.seconds, served.resident_mb]
