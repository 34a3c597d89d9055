"""W9: scaling out. One, two and four processes of the engine on the same servers, which share one backlog."""

import time
from collections.abc import Sequence
from contextlib import ExitStack

from bench.process import m10_run
from bench.stage import Stage
from m10actors.testing import account

EVALUATIONS = 20_000
SHARES = """
SELECT count(*) FROM m10_recovery.suggestion_provenance WHERE event_type = 'rule_evaluated'
GROUP BY split_part(actor, '/', 1)
"""


class Processes:
    """The limit is one process; of the largest share, a fair one. Checked: each effect once."""

    figures = (
        ("W9 2 processes beside 1", "evaluations/s"),
        ("W9 4 processes beside 1", "evaluations/s"),
        ("W9 largest share of 2", "%"),
        ("W9 largest share of 4", "%"),
    )

    def __init__(self, stage: Stage, scale: float) -> None:
        self._stage = stage
        self._count = int(EVALUATIONS * scale)
        self._alone = 0.0

    def ours(self) -> Sequence[float]:
        with ExitStack() as running, self._stage.without_delivery():

            def join(*names: str) -> tuple[float, float]:
                for name in names:
                    running.enter_context(m10_run(self._stage, name))
                self._run()  # whoever is new finds plans to be made
                return self._run()

            self._alone, _ = join("p1")
            two, share_of_two = join("p2")
            four, share_of_four = join("p3", "p4")
        return [two, four, share_of_two, share_of_four]

    def by_hand(self) -> Sequence[float]:
        return [self._alone, self._alone, 50, 25]

    def _run(self) -> tuple[float, float]:
        """Evaluations a second, and the largest share that one process had of them, in percent."""
        due = self._stage.due(self._count)
        began = time.monotonic()
        self._stage.announce(due)
        while not account.is_evaluated(self._stage.parts.ops):
            time.sleep(0.005)
        seconds = time.monotonic() - began
        stores = account.stores(self._stage.parts.ops)
        assert (stores.evaluated_twice, stores.published_twice) == (0, 0), f"effects were done twice: {stores}"
        largest = max(row[0] for row in self._stage.sql(SHARES))
        self._stage.forget(events=self._count)
        return self._count / seconds, 100 * largest / self._count
