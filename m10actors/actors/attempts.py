"""The counted attempts at the batch that a worker has in hand, and their leases."""

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import timedelta

from m10actors.postgres import evaluations as store
from m10actors.postgres.errors import StoreError
from m10actors.postgres.pool import Database


class Attempts:
    """By (candidate, generation), under the name of one worker. Not thread-safe: it belongs to its actor."""

    def __init__(
        self, database: Database, worker: str, lease: timedelta, evaluators: Callable[[], Sequence[str]] = tuple
    ) -> None:
        """`evaluators`: the leased ones of this process, for which a generation may wait."""
        self._database = database
        self._worker = worker
        self._lease = lease
        self._evaluators = evaluators
        self._numbers: dict[tuple[int, int], int] = {}
        self._renewed_at = time.monotonic()

    def begin(self, candidate_id: int, generation: int) -> int | None:
        """Counts an attempt, unless it was begun before PostgreSQL went away; its number, None while the generation is
        in somebody else's hands. StoreError: it may have been counted.
        """
        key = (candidate_id, generation)
        if key not in self._numbers:
            self._numbers |= store.begin_attempts(self._database, self._worker, [key], self._lease, self._evaluators())
        return self._numbers.get(key)

    def waits(self, candidate_id: int, generation: int) -> bool:
        """Whether it is in nobody's hands because it waits for an evaluator: it is recorded, and needs no entry."""
        made = store.attempts_made(self._database, [(candidate_id, generation)]).get((candidate_id, generation))
        return made is not None and made.evaluator is not None

    def begun(self, takings: Iterable[store.Taking]) -> None:
        """These were counted when the tables gave them."""
        self._numbers |= {(taking.candidate_id, taking.generation): taking.attempts for taking in takings}

    def keep(self) -> None:
        """Renews their leases whenever a third of one has passed."""
        now = time.monotonic()
        if now - self._renewed_at < self._lease.total_seconds() / 3:
            return
        self._renewed_at = now
        if self._numbers:
            with suppress(StoreError):  # what was decided is worth more than the lease
                store.renew_attempts(self._database, self._worker, list(self._numbers), self._lease)

    def over(self) -> None:
        """The batch is not in hand any more."""
        self._numbers.clear()
