"""One candidate against a pure model of the contract's rule: any order of repeats, evaluations (also stale ones),
verdicts, deliveries, burials, replays and hours that pass leaves row, outbox and provenance as the model has them.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import uuid4

import psycopg
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from psycopg.rows import dict_row

from m10actors.postgres import evaluations, failures, inputs, locks, outbox, verdicts
from m10actors.postgres.evaluations import Burial
from m10actors.postgres.outbox import OUTBOX_LOCK, Completion
from m10actors.postgres.pool import Database
from m10actors.recovery.decision import Decision
from m10actors.recovery.facts import Candidate
from m10actors.recovery.failure import parse
from m10actors.recovery.gates import Reason
from m10actors.testing.database import MigratedDatabase

ACTION = "retry_exponential"
ROUTES = {ACTION: {"event": "webhook:recovery", "destination": "receiver"}}
THRESHOLDS = (5, 10)
MINUTE = timedelta(minutes=1)


@dataclass
class Model:
    """A candidate as contracts.md, section 1, has it."""

    count: int = 1
    generation: int = 1
    evaluated_generation: int = 0
    evaluated_count: int = 0
    round: int = 1
    decision: str = "pending"
    status: str | None = None
    is_closed: bool = False
    closed_long_ago: bool = False
    given_up: bool = False
    published: int = 0

    @property
    def is_due(self) -> bool:
        return self.generation > self.evaluated_generation

    def repeat(self, times: int) -> bool:
        self.count += times
        return self._recurs(repeated=True)

    def evaluate(self, generation: int, count: int, execute: bool) -> bool:
        """Whether it took effect."""
        if not self.is_due or generation != self.generation:
            return False
        self.evaluated_generation, self.evaluated_count, self.given_up = generation, count, False
        if execute and self.decision == "pending" and not self.is_closed and self.status is None:
            self._publish()
        self._recurs()
        return True

    def decide(self, verdict: str, generation: int | None) -> str:
        if self.decision != "pending" or self.is_closed or self.status is not None:
            return "already_decided"
        if self.is_due:
            return "evaluation_due"
        if generation is not None and generation != self.evaluated_generation:
            return "generation_differs"
        if verdict == "approved" and self.evaluated_count == 0:
            return "no_action"
        if verdict == "approved":
            self._publish()
        else:
            self.decision = "rejected"
            self._close()
        return verdict

    def deliver(self, succeeded: bool) -> None:
        self.status = "succeeded" if succeeded else "failed"
        self._close()

    def bury(self, generation: int) -> bool:
        if not self.is_due or generation != self.generation:
            return False
        self.evaluated_generation, self.given_up = generation, True
        return True

    def replay(self) -> None:
        self.generation += 1

    def _publish(self) -> None:
        self.decision, self.status = "approved", "executing"
        self.published += 1

    def _close(self) -> None:
        self.is_closed, self.closed_long_ago = True, False
        self._recurs()

    def _recurs(self, repeated: bool = False) -> bool:
        if self.is_due or self.given_up or self.status == "executing":
            return False
        passed = any(self.evaluated_count < threshold <= self.count for threshold in THRESHOLDS)
        if not passed and not (self.is_closed and self.closed_long_ago and repeated):
            return False
        if self.is_closed:
            self.round, self.is_closed, self.status = self.round + 1, False, None
        self.decision = "pending"
        self.generation += 1
        return True


class CandidateMachine(RuleBasedStateMachine):
    """The model and the real candidate, step by step."""

    def __init__(self, app: Database, sql: psycopg.Connection[Any]) -> None:
        super().__init__()
        self.app = app
        self.sql = sql
        self.model = Model()
        self.read: list[Candidate] = []

    @initialize()
    def opens(self) -> None:
        item = {"failure_match_id": str(uuid4()), "failure_payload": {"error_type": "TIMEOUT", "raw": "too slow"}}
        self.failure = parse(item)
        self.id = failures.ingest(self.app, [self.failure], "test")[0].candidate_id
        self.reads()

    @rule(times=st.integers(1, 6))
    def is_repeated(self, times: int) -> None:
        answer = failures.ingest(self.app, [self.failure] * times, "test")[-1]
        assert answer.became_due == self.model.repeat(times)
        assert (answer.occurrence_count, answer.generation) == (self.model.count, self.model.generation)

    @rule()
    def reads(self) -> None:
        """An evaluator reads the candidate; it may write much later."""
        self.read.append(inputs.read(self.app, [self.id])[self.id].candidate)

    @rule(age=st.sampled_from([None, None, None, 0, 1, 2]), execute=st.booleans())
    def is_evaluated(self, age: int | None, execute: bool) -> None:
        """By one who has read it just now (None), or before: the last reader, the one before that, …"""
        if age is None:
            self.reads()
        candidate = self.read[-1 - (age or 0) % len(self.read)]
        decision = Decision(ACTION, 0.85, 0.85, (), execute, Reason.EXECUTES, "Retry it.")
        applied = evaluations.apply(self.app, "w", [evaluations.Judged(candidate, decision, 1)], ROUTES)
        assert bool(applied) == self.model.evaluate(candidate.generation, candidate.occurrence_count, execute)
        if applied:
            assert applied[0].message_due == (self.model.generation if self.model.is_due else None)

    @rule(verdict=st.sampled_from(["approved", "rejected"]), seen=st.sampled_from([None, 0, 1]))
    def is_decided(self, verdict: Any, seen: int | None) -> None:
        generation = None if seen is None else self.model.evaluated_generation - seen
        choice = verdicts.Choice(self.id, generation)
        [answer] = verdicts.decide(self.app, [choice], verdict, verdicts.Person("ann"), None, ROUTES)
        assert answer.outcome == self.model.decide(verdict, generation)

    @precondition(lambda self: self.model.status == "executing")
    @rule(succeeded=st.booleans())
    def is_delivered(self, succeeded: bool) -> None:
        epoch = locks.acquire(self.app, OUTBOX_LOCK, "leader", MINUTE) or 0
        outcome: Any = "delivered" if succeeded else "dead"
        claimed = outbox.claim(self.app, "leader", epoch, 1000)
        settled = outbox.complete(self.app, "leader", epoch, [Completion(event.id, outcome) for event in claimed])
        self.model.deliver(succeeded)
        due = self.model.generation if self.model.is_due else None
        assert [each.message_due for each in settled if each.candidate_id == self.id] == [due]

    @precondition(lambda self: self.model.is_closed)
    @rule()
    def is_left_alone_for_hours(self) -> None:
        self._sql("UPDATE recovery_candidates SET closed_at = closed_at - interval '2 hours' WHERE id = %s")
        self.model.closed_long_ago = True

    @precondition(lambda self: self.model.is_due)
    @rule(late=st.integers(0, 1))
    def is_buried(self, late: int) -> None:
        generation = self.model.generation - late
        burial = Burial(str(uuid4()), self.id, generation, None, {}, "poison")
        assert bool(evaluations.bury(self.app, "w", [burial])) == self.model.bury(generation)

    @precondition(lambda self: self.model.given_up and not self.model.is_due)
    @rule()
    def is_replayed(self) -> None:
        self._sql(
            "UPDATE recovery_candidates SET generation = generation + 1, due_at = clock_timestamp() WHERE id = %s"
        )
        self.model.replay()

    @invariant()
    def is_as_the_model_has_it(self) -> None:
        [row] = self._sql("SELECT * FROM recovery_candidates WHERE id = %s")
        model = self.model
        assert (row["occurrence_count"], row["generation"], row["evaluated_generation"], row["evaluated_count"]) == (
            model.count,
            model.generation,
            model.evaluated_generation,
            model.evaluated_count,
        )
        assert (row["round"], row["decision"], row["execution_status"]) == (model.round, model.decision, model.status)
        assert (row["closed_at"] is not None, row["evaluation_error"] is not None) == (model.is_closed, model.given_up)
        [published] = self._sql("SELECT count(*) FROM m10_recovery.outbox WHERE candidate_id = %s")
        [rounds] = self._sql(
            """SELECT count(*) FROM m10_recovery.suggestion_provenance
               WHERE suggestion_id = %s AND event_type = 'round_closed'"""
        )
        assert (published["count"], rounds["count"]) == (model.published, model.round - 1)

    def _sql(self, statement: str) -> list[Any]:
        cursor = self.sql.execute(statement, [self.id])
        return cursor.fetchall() if cursor.description else []


def test_a_candidate_lives_as_the_contract_says(database: MigratedDatabase) -> None:
    app, sql = database.pool("app", size=1), database.connect("superuser")
    sql.row_factory = dict_row
    run_state_machine_as_test(
        lambda: CandidateMachine(app, sql),
        settings=settings(
            max_examples=50, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
