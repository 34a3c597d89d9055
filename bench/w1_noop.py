"""W1: messages that wait in the stream about work that is done already: read by consumer group, decoded, acknowledged
and deleted. No effect.
"""

from collections.abc import Sequence

from bench.effects import loops_by_hand, sending
from bench.hand import read_all
from bench.stage import Stage
from bench.statements import READ

MESSAGES = 50_000
DONE = "UPDATE public.recovery_candidates SET evaluated_generation = generation"


class Noop:
    """The engine, which asks PostgreSQL once a batch; by hand: loops that ask it too, and one that asks nobody."""

    figures = (("W1 nothing due", "messages/s"), ("W1 nothing due, limit asks nobody", "messages/s"))

    def __init__(self, stage: Stage, scale: float) -> None:
        self._stage = stage
        self._count = int(MESSAGES * scale)

    def ours(self) -> Sequence[float]:
        self._announce()
        rate = self._stage.rate(self._count, self._stage.stream_is_empty)
        self._stage.forget(events=0)
        return [rate, rate]

    def by_hand(self) -> Sequence[float]:
        self._announce()
        asking = loops_by_hand(self._stage, self._count, sending(READ))
        self._stage.announce(range(1, self._count + 1))
        silent = self._count / read_all(self._stage, [lambda _ids: None])
        self._stage.forget(events=0)
        return [asking, silent]

    def _announce(self) -> None:
        ids = self._stage.due(self._count)
        self._stage.sql(DONE)
        self._stage.announce(ids)
