"""W8: kill -9 of one of two processes with work in hand, until the other has done that work."""

import time
from collections.abc import Sequence

from bench.process import m10_run
from bench.stage import Stage
from m10actors.testing import account
from m10actors.testing.waiting import eventually

MESSAGES = 20
CLAIM_IDLE_SECONDS = 2
"""Shorter than the one that ships (5 min): the time beyond it counts."""
SETTINGS = {
    "intake.claim_idle": f"{CLAIM_IDLE_SECONDS}s",
    "intake.reclaim_base_backoff": f"{CLAIM_IDLE_SECONDS}s",
    "intake.evaluation_lease": f"{CLAIM_IDLE_SECONDS}s",
}


class Takeover:
    """On two hosts: neither knows of the other's end but by its silence. One kills itself with a batch that it has
    read; this process is the other. The limit is the idle time after which work is taken over, and a second.
    """

    figures = (("W8 another resumes after kill -9", "s"),)

    def __init__(self, stage: Stage, _scale: float) -> None:
        self._stage = stage

    def ours(self) -> Sequence[float]:
        while (seconds := self._seconds()) is None:
            pass
        return [seconds]

    def by_hand(self) -> Sequence[float]:
        return [CLAIM_IDLE_SECONDS + 1]

    def _seconds(self) -> float | None:
        """None where the other had taken its work over already, because it was so slow."""
        stage = self._stage
        with (
            stage.without_delivery(),
            stage.parts_with(SETTINGS) as parts,
            stage.running(parts),
            m10_run(stage, "first", SETTINGS, "eval.after_read:kill") as first,
        ):
            while first.process.poll() is None:  # some are the other's
                stage.announce(stage.due(MESSAGES))
                eventually(lambda: first.process.poll() is not None or account.is_evaluated(stage.parts.ops), within=30)
            began = time.monotonic()
            was_in_hand = not account.is_evaluated(stage.parts.ops)
            eventually(lambda: account.is_evaluated(stage.parts.ops), within=60, every=0.01)
            seconds = time.monotonic() - began
        stage.forget()
        return seconds if was_in_hand else None
