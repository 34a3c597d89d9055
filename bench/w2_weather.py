"""W2 where half of the messages come twice, one in a hundred twice within a batch, and one in a thousand is no message
at all.
"""

from collections.abc import Sequence
from typing import Any

import redis

from bench.evaluators import Trivial, asked
from bench.stage import Stage
from m10actors.testing import account

EFFECTS = 20_000
TWICE_IN_A_BATCH, POISON = 100, 1_000
DEAD = "SELECT count(*) FROM m10_recovery.dead_letter_archive"


class Weather:
    """Messages a second, those that come twice counted twice; the limit is the same engine where each comes once.
    Checked: one event for each candidate, one dead letter for each poisonous entry.
    """

    figures = (("W2 half delivered twice, poison", "messages/s"),)

    def __init__(self, stage: Stage, scale: float) -> None:
        self._stage = stage
        self._count = int(EFFECTS * scale)

    def ours(self) -> Sequence[float]:
        due = self._stage.due(self._count)
        ids = [each for n, each in enumerate(due) for _ in range(1 if n % TWICE_IN_A_BATCH else 2)]
        self._stage.announce(ids)
        poison = self._poison(max(1, self._count // POISON))
        self._stage.announce(due[::2])
        rate = self._run(len(ids) + poison + len(due[::2]))
        assert self._dead() == poison, f"{self._dead()} dead letters instead of {poison}"
        self._stage.forget(events=self._count)
        return [rate]

    def by_hand(self) -> Sequence[float]:
        self._stage.announce(self._stage.due(self._count))
        rate = self._run(self._count)
        self._stage.forget(events=self._count)
        return [rate]

    def _run(self, messages: int) -> float:
        def is_done() -> bool:
            return self._stage.stream_is_empty() and account.is_evaluated(self._stage.parts.ops)

        with self._stage.without_delivery(), self._stage.configured(asked(Trivial)):
            return self._stage.rate(messages, is_done)

    def _poison(self, count: int) -> int:
        client: Any
        with redis.Redis.from_url(self._stage.redis_url) as client:
            for _ in range(count):
                client.xadd(self._stage.parts.names.stream, {"candidate_id": "nobody"})
        return count

    def _dead(self) -> int:
        [(dead,)] = self._stage.sql(DEAD)
        return int(dead)
