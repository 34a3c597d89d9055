"""W1: messages that wait in the stream, read by consumer group, decoded, acknowledged and deleted. No effect."""

from collections.abc import Callable, Sequence
from unittest.mock import patch

from bench.hand import read_all
from bench.stage import Stage
from m10actors.evaluation import Evaluated, Evaluator, Work

MESSAGES = 20_000


class Noop:
    """The engine with an evaluator that does nothing; by hand: one loop."""

    figures = (("W1 no effect", "messages/s"),)

    def __init__(self, stage: Stage, scale: float) -> None:
        self._stage = stage
        self._count = int(MESSAGES * scale)

    def ours(self) -> Sequence[float]:
        self._stage.announce(range(1, self._count + 1))
        with patch.object(Evaluator, "evaluate", _nothing):
            return [self._stage.rate(self._count, self._stage.stream_is_empty)]

    def by_hand(self) -> Sequence[float]:
        self._stage.announce(range(1, self._count + 1))
        return [self._count / read_all(self._stage, [lambda _ids: None])]


def _nothing(_self: Evaluator, batch: Sequence[Work], _source: str, _beat: Callable[[], None]) -> Evaluated:
    return Evaluated(finished=batch)
