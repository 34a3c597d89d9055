"""The one way in: what was reported becomes a stored failure and a hint. Shared by HTTP, the command and the Python
client.
"""

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple
from uuid import UUID

from m10actors import logs, metrics
from m10actors.hints import Hints
from m10actors.postgres import failures as store
from m10actors.postgres.errors import DataRefused, StoreError, StoreRefused
from m10actors.postgres.failures import Accepted
from m10actors.postgres.pool import Database
from m10actors.recovery.failure import Failure
from m10actors.testing.failpoints import failpoint

log = logs.logger(__name__)


class Receipt(NamedTuple):
    """The answer to one failure: stored, and what it folded into (contracts, section 4)."""

    candidate_id: int
    failure_match_id: UUID
    occurrence_count: int
    opened: bool
    counted: bool
    key_conflict: bool

    @property
    def status(self) -> str:
        return "accepted" if self.opened else "duplicate"

    @property
    def message(self) -> str:
        if self.key_conflict:
            return "this idempotency key was used before, with another payload; nothing was counted"
        if not self.counted:
            return "this idempotency key was used before; nothing was counted"
        return "a new candidate was opened" if self.opened else f"occurrence {self.occurrence_count} of a known failure"


class Ingest:
    """Stores failures and sends the hints; safe to use from many threads."""

    def __init__(self, database: Database, hints: Hints) -> None:
        self._database = database
        self._hints = hints

    def accept(self, failures: Sequence[Failure], created_by: str) -> list[Receipt]:
        """Stores a batch in one transaction; a receipt each, in order. StoreError: nothing was stored.

        Once this returns, no failure of the batch can be lost: the hints come after the commit and only make it faster.
        """
        if not failures:
            return []
        started = time.monotonic()
        failpoint("ingest.begin")
        try:
            accepted = store.ingest(self._database, failures, created_by)
        except StoreError as error:
            status = "refused" if isinstance(error, StoreRefused) else "unavailable"
            metrics.INGEST.labels(status, "").inc(len(failures))
            metrics.INGEST_LATENCY.labels(status).observe(time.monotonic() - started)
            raise
        failpoint("ingest.after_commit")
        self._tell(failures, accepted)
        _count(failures, accepted, time.monotonic() - started)
        failpoint("ingest.after_hint")
        return [
            Receipt(a.candidate_id, a.failure_match_id, a.occurrence_count, a.opened, a.counted, a.key_conflict)
            for a in accepted
        ]

    def accept_each(self, failures: Sequence[Failure], created_by: str) -> list[Receipt | DataRefused]:
        """As `accept`; a batch whose data PostgreSQL refuses is halved until only what is at fault is left out."""
        try:
            return list(self.accept(failures, created_by))
        except DataRefused as refused:
            if len(failures) == 1:
                return [refused]
        half = len(failures) // 2
        return self.accept_each(failures[:half], created_by) + self.accept_each(failures[half:], created_by)

    def _tell(self, failures: Sequence[Failure], accepted: Iterable[Accepted]) -> None:
        due = {
            a.candidate_id: a.generation
            for f, a in zip(failures, accepted, strict=True)
            if a.became_due and f.enqueue_evaluation
        }
        try:
            self._hints.send(list(due.items()))
        except StoreError as error:
            log.warning("hints_lost", candidates=len(due), error=str(error), consequence="the sweep finds them")


def _count(failures: Sequence[Failure], accepted: Sequence[Accepted], seconds: float) -> None:
    outcomes = Counter(
        ("accepted" if answer.opened else "duplicate", metrics.source_label(failure.source))
        for failure, answer in zip(failures, accepted, strict=True)
    )
    for (status, source), number in outcomes.items():
        metrics.INGEST.labels(status, source).inc(number)
    repeats = Counter("candidate" if answer.counted else "idempotency_key" for answer in accepted if not answer.opened)
    for method, number in repeats.items():
        metrics.INGEST_DUPLICATES.labels(method).inc(number)
    metrics.KEY_CONFLICTS.inc(sum(answer.key_conflict for answer in accepted))
    metrics.INGEST_LATENCY.labels("stored").observe(seconds)
