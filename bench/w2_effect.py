"""W2: one durable effect a message. In one transaction the message is logged, its candidate decided, its execution
opened and counted, an event published; acknowledged after the commit.
"""

from collections.abc import Mapping, Sequence

from bench.effects import Make, deciding, loops_by_hand, sending
from bench.evaluators import Trivial, asked
from bench.stage import Stage
from bench.statements import EFFECT_ALONE, EFFECT_ON_BARE_TABLES, MAKE_BARE_TABLES, SAME_ROWS
from bench.words import trivial
from bench.written import check_written, written
from m10actors.testing import account

EFFECTS = 20_000


class DurableEffect:
    """The engine with an evaluator that always says the same and leaves no provenance, delivering nothing; by hand: two
    loops that write the same rows, and two that read nothing and write the effect alone (message logged, candidate
    decided, event published), on our tables and on bare ones.
    """

    figures = (
        ("W2 durable effect", "effects/s"),
        ("W2 durable effect, limit is the effect alone", "effects/s"),
        ("W2 durable effect, limit on bare tables", "effects/s"),
        ("W2 the effect alone, our tables beside bare", "effects/s"),
    )

    def __init__(self, stage: Stage, scale: float) -> None:
        self._stage = stage
        self._count = int(EFFECTS * scale)
        self._alone = 0.0
        self.written: Mapping[str, float] = {}
        """By the engine: see `bench.written`."""

    def ours(self) -> Sequence[float]:
        rate = self.engine()
        self._alone = self._by_hand(sending(EFFECT_ALONE))
        return [rate, rate, rate, self._alone]

    def by_hand(self) -> Sequence[float]:
        same = self._by_hand(deciding(trivial, SAME_ROWS), self.written)
        bare = self._on_bare_tables()
        return [same, self._alone, bare, bare]

    def engine(self) -> float:
        """Its effects a second."""
        self._stage.announce(self._stage.due(self._count))
        with self._stage.without_delivery(), self._stage.configured(asked(Trivial)):
            rate = self._stage.rate(self._count, lambda: account.is_evaluated(self._stage.parts.ops))
        self.written = written(self._stage, self._count)
        self._stage.forget(events=self._count)
        return rate

    def _by_hand(self, make: Make, expected: Mapping[str, float] | None = None) -> float:
        self._stage.announce(self._stage.due(self._count))
        rate = loops_by_hand(self._stage, self._count, make)
        if expected is not None:
            check_written(self._stage, self._count, expected)
        self._stage.forget(events=self._count)
        return rate

    def _on_bare_tables(self) -> float:
        self._stage.sql(MAKE_BARE_TABLES)
        self._stage.sql("INSERT INTO bare.candidates (id) SELECT generate_series(1, %s::int)", self._count)
        self._stage.sql("ANALYZE bare.candidates")
        self._stage.announce(range(1, self._count + 1))
        rate = loops_by_hand(self._stage, self._count, sending(EFFECT_ON_BARE_TABLES))
        [(published,)] = self._stage.sql("SELECT count(*) FROM bare.outbox")
        assert published == self._count, f"{published} events instead of {self._count}"
        return rate
