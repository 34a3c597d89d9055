"""W8: from the restart of a process that was killed to its next delivery, at the settings that ship."""

import os
import signal
import time
from collections.abc import Sequence

from bench.process import bare_endpoint, m10_run
from bench.stage import Stage
from bench.w7_deliveries import publish
from m10actors.testing.waiting import eventually


class Recovery:
    """kill -9 while it leads, and the same command again on the same run folder: until it has delivered what was
    published meanwhile, and is ready. By hand: the bare endpoint until it answers again.
    """

    figures = (("W8 delivers again after kill -9", "s"),)

    def __init__(self, stage: Stage, _scale: float) -> None:
        self._stage = stage

    def ours(self) -> Sequence[float]:
        taken = self._stage.receiver.ledger.total
        publish(self._stage, self._stage.receiver.url, 1)
        with m10_run(self._stage) as served:
            self._wait_for(taken + 1)
            os.kill(served.pid, signal.SIGKILL)
        publish(self._stage, self._stage.receiver.url, 1)
        began = time.monotonic()
        with m10_run(self._stage):
            self._wait_for(taken + 2)
            seconds = time.monotonic() - began
        self._stage.forget(events=2)
        return [seconds]

    def by_hand(self) -> Sequence[float]:
        with bare_endpoint(self._stage) as served:
            os.kill(served.pid, signal.SIGKILL)
        with bare_endpoint(self._stage) as served:
            return [served.seconds]

    def _wait_for(self, deliveries: int) -> None:
        eventually(lambda: self._stage.receiver.ledger.total >= deliveries, within=60, every=0.005)
