"""W2: one durable effect a message. In one transaction the message is logged, its candidate decided, an event
published; acknowledged after the commit.
"""

from collections.abc import Sequence

from bench.effects import (
    BARE_TABLES,
    MAKE_BARE_TABLES,
    OUR_TABLES,
    Make,
    deciding,
    loops_by_hand,
    reading_and_writing,
    writing,
)
from bench.evaluators import Trivial, asked
from bench.stage import Stage
from bench.words import trivial
from m10actors.testing import account

EFFECTS = 10_000


class DurableEffect:
    """The engine with an evaluator that always says the same, delivering nothing; by hand: two loops with one statement
    a batch. What the engine writes beside the effect (provenance, execution, caps) is the difference of the first two.
    """

    figures = (
        ("W2 durable effect", "effects/s"),
        ("W2 durable effect, limit writes every row", "effects/s"),
        ("W2 durable effect, limit on bare tables", "effects/s"),
        ("W2 by hand, our tables beside bare", "effects/s"),
    )

    def __init__(self, stage: Stage, scale: float) -> None:
        self._stage = stage
        self._count = int(EFFECTS * scale)

    def ours(self) -> Sequence[float]:
        self._stage.announce(self._stage.due(self._count))
        with self._stage.without_delivery(), self._stage.configured(asked(Trivial)):
            rate = self._stage.rate(self._count, lambda: account.is_evaluated(self._stage.parts.ops))
        self._stage.forget(events=self._count)
        return [rate, rate, rate, self._by_hand(writing(OUR_TABLES))]

    def by_hand(self) -> Sequence[float]:
        effect = self._by_hand(reading_and_writing(OUR_TABLES))
        every_row = self._by_hand(deciding(trivial))
        self._stage.sql(MAKE_BARE_TABLES)
        self._stage.sql("INSERT INTO bare.candidates (id) SELECT generate_series(1, %s::int)", self._count)
        self._stage.sql("ANALYZE bare.candidates")
        self._stage.announce(range(1, self._count + 1))
        bare = loops_by_hand(self._stage, self._count, writing(BARE_TABLES))
        [(published,)] = self._stage.sql("SELECT count(*) FROM bare.outbox")
        assert published == self._count, f"{published} events instead of {self._count}"
        return [effect, every_row, bare, bare]

    def _by_hand(self, make: Make) -> float:
        self._stage.announce(self._stage.due(self._count))
        rate = loops_by_hand(self._stage, self._count, make)
        self._stage.forget(events=self._count)
        return rate
