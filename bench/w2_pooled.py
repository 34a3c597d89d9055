"""W2 through PgBouncer in transaction mode."""

from collections.abc import Sequence

from bench.evaluators import Trivial, asked
from bench.stage import DATABASE, Stage
from m10actors.testing import account
from m10actors.testing.pgbouncer import pgbouncer

EFFECTS = 20_000
ROLES = {"url": "m10_app", "ops_url": "m10_ops", "metrics_url": "m10_metrics"}


class Pooled:
    """The engine whose connections all go through it; the limit is the same engine without it."""

    figures = (("W2 through PgBouncer", "effects/s"),)

    def __init__(self, stage: Stage, scale: float) -> None:
        self._stage = stage
        self._count = int(EFFECTS * scale)

    def ours(self) -> Sequence[float]:
        with pgbouncer(self._stage.addresses, self._stage.folder / "b") as bouncer:
            return self._run({f"database.{key}": bouncer.url(role, DATABASE) for key, role in ROLES.items()})

    def by_hand(self) -> Sequence[float]:
        return self._run({})

    def _run(self, changes: dict[str, object]) -> Sequence[float]:
        self._stage.announce(self._stage.due(self._count))
        with self._stage.parts_with({**changes, **asked(Trivial)}) as parts, self._stage.without_delivery():
            rate = self._stage.rate(self._count, lambda: account.is_evaluated(self._stage.parts.ops), parts)
        self._stage.forget(events=self._count)
        return [rate]
