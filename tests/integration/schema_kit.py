"""A candidate's life through the engine's own functions, a short word for each step."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.rows import namedtuple_row

from m10actors.postgres import evaluations, failures, inputs, locks, outbox, verdicts
from m10actors.postgres.evaluations import Applied, Burial, Judged
from m10actors.postgres.outbox import OUTBOX_LOCK, Completion, Settled
from m10actors.recovery.decision import Decision
from m10actors.recovery.failure import Failure, parse
from m10actors.recovery.gates import Reason
from m10actors.testing.database import MigratedDatabase
from m10actors.testing.waiting import eventually

ACTION = "retry_exponential"
ROUTES = {ACTION: {"event": "webhook:recovery", "destination": "receiver", "template": {"retries": 3}}}
WORKER = "host:1:abc/claim_worker.1"
LEADER = "host:1:abc/outbox_leader"
MINUTE = timedelta(minutes=1)


def failure(match_id: UUID | None = None, *, key: UUID | None = None, code: str = "TIMEOUT", note: str = "") -> Failure:
    item: dict[str, object] = {"failure_payload": {"error_type": code, "raw": "too slow", "note": note}}
    if match_id is not None:
        item |= {"failure_match_id": str(match_id), "error_signature": "s"}
    if key is not None:
        item["idempotency_key"] = str(key)
    return parse(item)


def at_once(tasks: Sequence[Callable[[], Any]]) -> list[Any]:
    """Runs every task in a thread of its own, all from the same moment on; their answers, or the first error."""
    gate = Barrier(len(tasks))

    def behind_the_gate(task: Callable[[], Any]) -> Any:
        gate.wait(10)
        return task()

    with ThreadPoolExecutor(len(tasks)) as threads:
        return [running.result(60) for running in [threads.submit(behind_the_gate, task) for task in tasks]]


def in_background(task: Callable[[], Any]) -> "Future[Any]":
    """Begins the task in a thread of its own, which ends with it."""
    threads = ThreadPoolExecutor(1)
    running = threads.submit(task)
    threads.shutdown(wait=False)
    return running


def refused(connection: psycopg.Connection[Any], statement: str, *parameters: object) -> str:
    """The SQLSTATE with which the statement is refused."""
    with pytest.raises(psycopg.Error) as caught:
        connection.execute(statement, parameters or None)
    return caught.value.sqlstate or ""


class Lab:
    """`app` is the engine's way in, `sql` looks and meddles as the superuser."""

    def __init__(self, database: MigratedDatabase) -> None:
        self.database = database
        self.app = database.pool("app")
        self.sql = database.connect("superuser")
        self.sql.row_factory = namedtuple_row  # type: ignore[assignment]
        self.match_ids: dict[int, UUID] = {}

    def open(self, times: int = 1) -> int:
        match_id = uuid4()
        accepted = failures.ingest(self.app, [failure(match_id)] * times, "test")
        self.match_ids[accepted[0].candidate_id] = match_id
        return accepted[0].candidate_id

    def repeat(self, candidate_id: int, times: int = 1) -> failures.Accepted:
        return failures.ingest(self.app, [failure(self.match_ids[candidate_id])] * times, "test")[-1]

    def evaluate(
        self,
        candidate_id: int,
        *,
        action: str | None = ACTION,
        execute: bool = False,
        meanwhile: Callable[[], object] = lambda: None,
        work_ids: Sequence[int] = (),
        routes: Mapping[str, object] = ROUTES,
    ) -> Applied | None:
        """Reads, then lets something happen meanwhile, then writes; None if it came late."""
        candidate = inputs.read(self.app, [candidate_id])[candidate_id].candidate
        meanwhile()
        decision = Decision(action, 0.85, 0.85, (), execute, Reason.EXECUTES, "Retry it.")
        applied = evaluations.apply(self.app, WORKER, [Judged(candidate, decision, 3)], routes, work_ids)
        return applied[0] if applied else None

    def bury(self, candidate_id: int, generation: int | None = None, worker: str = "w") -> set[str]:
        number = generation or self.row(candidate_id).generation
        burial = Burial(str(uuid4()), candidate_id, number, None, {"why": "poison"}, "poison")
        return evaluations.bury(self.app, worker, [burial])

    def approve(self, candidate_id: int, generation: int | None = None) -> verdicts.Verdict:
        return self.decide(candidate_id, "approved", "ann", "go", generation)

    def reject(self, candidate_id: int, generation: int | None = None) -> verdicts.Verdict:
        return self.decide(candidate_id, "rejected", "ann", "no", generation)

    def decide(
        self, candidate_id: int, decision: verdicts.DecisionWord, by: str, note: str | None, generation: int | None
    ) -> verdicts.Verdict:
        choice = verdicts.Choice(candidate_id, generation)
        return verdicts.decide(self.app, [choice], decision, verdicts.Person(by), note, ROUTES)[0]

    def lead(self, holder: str = LEADER, ttl: timedelta = MINUTE) -> int:
        epoch = locks.acquire(self.app, OUTBOX_LOCK, holder, ttl)
        assert epoch is not None
        return epoch

    def claim(
        self, epoch: int, holder: str = LEADER, limit: int = 100, held: Sequence[str] = ()
    ) -> list[outbox.ClaimedEvent]:
        return outbox.claim(self.app, holder, epoch, limit, held)

    def complete(self, epoch: int, *completions: Completion, holder: str = LEADER) -> list[Settled]:
        return outbox.complete(self.app, holder, epoch, completions)

    def deliver(self, outcome: str = "delivered", **details: Any) -> list[Settled]:
        """Everything that is due, all with the same outcome."""
        epoch = self.lead()
        completions = [Completion(event.id, outcome, **details) for event in self.claim(epoch)]  # type: ignore[arg-type]
        return self.complete(epoch, *completions)

    def publish(self, aggregate: str = "1", destination: str | None = None, payload: str = "{}") -> int:
        statement = "SELECT m10_recovery.publish_outbox('thing', %s, 'webhook:x', %s::jsonb)"
        event_id = self.value(statement, aggregate, payload)
        self.sql.execute("UPDATE m10_recovery.outbox SET destination = %s WHERE id = %s", [destination, event_id])
        return int(event_id)

    def value(self, statement: str, *parameters: object) -> Any:
        row = self.sql.execute(statement, parameters or None).fetchone()
        return row[0] if row else None

    def row(self, candidate_id: int) -> Any:
        """The candidate as it stands."""
        return self._one("SELECT * FROM public.recovery_candidates WHERE id = %s", candidate_id)

    def event(self, event_id: int) -> Any:
        return self._one("SELECT * FROM m10_recovery.outbox WHERE id = %s", event_id)

    def work(self, work_id: int) -> Any:
        return self._one("SELECT * FROM m10_recovery.work_queue WHERE id = %s", work_id)

    def is_due(self, candidate_id: int) -> bool:
        row = self.row(candidate_id)
        return bool(row.generation > row.evaluated_generation)

    def provenance(self, candidate_id: int) -> list[str]:
        statement = "SELECT event_type FROM m10_recovery.suggestion_provenance WHERE suggestion_id = %s ORDER BY id"
        found = self.sql.execute(statement, [candidate_id])
        return [row[0] for row in found]

    def age(self, candidate_id: int, by: timedelta) -> None:
        """As if the round had been closed `by` earlier."""
        statement = "UPDATE public.recovery_candidates SET closed_at = closed_at - %s WHERE id = %s"
        self.sql.execute(statement, [by, candidate_id])

    def until_somebody_waits(self, waiters: int = 1) -> None:
        """Until so many connections to this database wait for a lock."""
        waiting = (
            "SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE NOT granted AND datname = %s"
        )
        eventually(lambda: self.value(waiting, self.database.name) >= waiters)

    def _one(self, statement: str, key: int) -> Any:
        found = self.sql.execute(statement, [key]).fetchone()
        assert found is not None, f"no row {key}"
        return SimpleNamespace(**found._asdict())  # type: ignore[attr-defined]
