"""W5: due candidates that wait in the stream, read, decided by the rules, written with provenance and event,
acknowledged.
"""

from collections.abc import Mapping, Sequence

from bench.effects import deciding, loops_by_hand
from bench.stage import Stage
from bench.statements import WITH_PROVENANCE
from bench.words import by_words
from bench.written import check_written, written
from m10actors.testing import account

EVALUATIONS = 20_000


class Evaluations:
    """The engine with the rules that ship; by hand: two loops with the same rules in a few lines, which write the same
    rows.
    """

    figures = (("W5 rules, provenance, outbox", "evaluations/s"),)

    def __init__(self, stage: Stage, scale: float) -> None:
        self._stage = stage
        self._count = int(EVALUATIONS * scale)
        self._written: Mapping[str, float] = {}

    def ours(self) -> Sequence[float]:
        self._stage.announce(self._stage.due(self._count))
        with self._stage.without_delivery():
            rate = self._stage.rate(self._count, lambda: account.is_evaluated(self._stage.parts.ops))
        self._written = written(self._stage, self._count)
        self._stage.forget(events=self._count)
        return [rate]

    def by_hand(self) -> Sequence[float]:
        self._stage.announce(self._stage.due(self._count))
        rate = loops_by_hand(self._stage, self._count, deciding(by_words, WITH_PROVENANCE))
        check_written(self._stage, self._count, self._written)
        self._stage.forget(events=self._count)
        return [rate]
