"""W2 with a handler that sends a statement of its own for each message."""

from collections.abc import Sequence

from bench.effects import handling, loops_by_hand
from bench.evaluators import PerMessage, asked
from bench.stage import Stage
from bench.statements import SAME_ROWS
from bench.words import trivial
from m10actors.testing import account

EFFECTS = 20_000
MAKE_HANDLED = "DROP TABLE IF EXISTS public.handled; CREATE TABLE public.handled (candidate_id bigint, code text)"


class Handler:
    """An evaluator of the user's that does so in pipeline mode; by hand: the same statements in the loops of W2, which
    write the same rows."""

    figures = (("W2 with statements of a handler", "effects/s"),)

    def __init__(self, stage: Stage, scale: float) -> None:
        self._stage = stage
        self._count = int(EFFECTS * scale)

    def ours(self) -> Sequence[float]:
        self._prepare()
        settings = asked(PerMessage, url=self._stage.postgres_url("postgres"))
        with self._stage.without_delivery(), self._stage.configured(settings):
            rate = self._stage.rate(self._count, lambda: account.is_evaluated(self._stage.parts.ops))
        self._finish()
        return [rate]

    def by_hand(self) -> Sequence[float]:
        self._prepare()
        rate = loops_by_hand(self._stage, self._count, handling(trivial, SAME_ROWS))
        self._finish()
        return [rate]

    def _prepare(self) -> None:
        self._stage.sql(MAKE_HANDLED)
        self._stage.announce(self._stage.due(self._count))

    def _finish(self) -> None:
        [(handled,)] = self._stage.sql("SELECT count(DISTINCT candidate_id) FROM public.handled")
        assert handled == self._count, f"{handled} were handled instead of {self._count}"
        self._stage.sql("DROP TABLE public.handled")
        self._stage.forget(events=self._count)
