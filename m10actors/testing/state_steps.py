"""The steps of a candidate's life, each at random, as states.py has many threads make them at once."""

import random
import threading
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg

from m10actors.postgres import (
    evaluations,
    events,
    executions,
    failures,
    inputs,
    locks,
    outbox,
    replays,
    verdicts,
    waiting,
)
from m10actors.postgres.dead_letters import LetterFilter
from m10actors.postgres.evaluations import Burial
from m10actors.postgres.outbox import OUTBOX_LOCK, Completion
from m10actors.postgres.pool import Database
from m10actors.postgres.verdicts import Choice, Person
from m10actors.recovery.decision import Decision
from m10actors.recovery.failure import Failure, parse
from m10actors.recovery.gates import Reason

Step = Callable[[random.Random, psycopg.Connection[Any]], object]
CAP = 40
"""Executions without a person, for each source."""
SOURCES = tuple(f"source-{number}" for number in range(6))
ACTIONS = ("retry_exponential", "fallback_model", "circuit_breaker", "notify_ops")
LEADER = "states/leader"
EVALUATOR = "slow"
SILENT = "silent"
"""An evaluator that leaves no provenance."""
BY_HAND = (
    "UPDATE public.recovery_candidates SET execution_status = 'succeeded' WHERE id = %s",
    "UPDATE public.recovery_candidates SET decision = 'approved', execution_status = 'executing' WHERE id = %s",
    "UPDATE public.recovery_candidates SET decision = 'rejected' WHERE id = %s",
    "UPDATE public.recovery_candidates SET execution_status = 'skipped' WHERE id = %s",
)
_ROUTE = {"event": "webhook:recovery", "destination": "receiver", "template": {}}
_FOLLOWING = [_ROUTE | {"action": action} for action in ACTIONS]
_ROUTES = {action: _ROUTE | {"follows": _FOLLOWING[:number][::-1]} for number, action in enumerate(ACTIONS)}
"""Each action is followed by those before it in the list."""


class World:
    """The steps, for as many threads as like, each with dice and a connection of its own. `sent`: failures so far."""

    def __init__(self, app: Database, ops: Database, identities: Sequence[UUID]) -> None:
        self._app = app
        self._ops = ops
        self._identities = identities
        self._lock = threading.Lock()
        self.sent = 0
        self.steps: dict[Step, int] = {
            self.ingest: 6, self.take: 3, self.wait: 2, self.evaluate: 6, self.give_up: 1, self.decide: 4,
            self.deliver: 5, self.tell: 3, self.send_again: 2, self.replay: 1, self.by_hand: 2, self.resolve: 2,
            self.archive: 1,
        }  # fmt: skip

    def begin(self) -> None:
        """Each failure once: whoever opens one at the same moment as another may deadlock, and asks again."""
        chance = random.Random(0)
        self._ingest([_failure(chance, identity) for identity in self._identities])

    def ingest(self, chance: random.Random, _: psycopg.Connection[Any]) -> None:
        chosen = [_failure(chance, chance.choice(self._identities)) for _ in range(chance.randint(1, 12))]
        self._ingest(chosen)

    def evaluate(self, chance: random.Random, sql: psycopg.Connection[Any]) -> None:
        decided = [
            evaluations.Judged(each.candidate, decision, 1, provenance=decision.evaluator != SILENT)
            for each in self._due(chance, sql)
            for decision in [_decision(chance)]
        ]
        evaluations.apply(self._app, "states/worker", decided, _ROUTES, (), {"source": CAP})

    def take(self, chance: random.Random, sql: psycopg.Connection[Any]) -> None:
        """As one that reads the stream, the fallback queue, or sweeps; most never come back."""
        worker, lease = f"states/{chance.randint(1, 3)}", timedelta(milliseconds=chance.randint(1, 50))
        match chance.randrange(3):
            case 0:
                due = [(each.candidate.id, each.candidate.generation) for each in self._due(chance, sql)]
                evaluations.begin_attempts(self._app, worker, due, lease, [EVALUATOR])
            case 1:
                failures.enqueue_fallback(self._app, [each.candidate.id for each in self._due(chance, sql)])
                taken = evaluations.claim_fallback(self._app, worker, 20, lease, [EVALUATOR])
                evaluations.complete_works(self._app, [each.work_id for each in taken if each.work_id is not None])
            case _:
                evaluations.claim_overdue(self._app, worker, 20, timedelta(0), lease, [EVALUATOR])

    def wait(self, chance: random.Random, sql: psycopg.Connection[Any]) -> None:
        """For an evaluator that takes its time; what it is asked, it is asked again."""
        worker, lease = f"states/{chance.randint(1, 3)}", timedelta(milliseconds=20)
        due = [(each.candidate.id, each.candidate.generation, EVALUATOR) for each in self._due(chance, sql)]
        waiting.wait_for(self._app, worker, due)
        asked = waiting.claim(self._app, worker, EVALUATOR, 20, lease, suspects=chance.random() < 0.5)
        again = [
            waiting.Again(each.candidate_id, each.generation, timedelta(0), chance.random() < 0.5) for each in asked
        ]
        waiting.ask_again(self._app, worker, again)

    def give_up(self, chance: random.Random, sql: psycopg.Connection[Any]) -> None:
        burials = [
            Burial(str(uuid4()), each.candidate.id, each.candidate.generation, None, {}, "poison")
            for each in self._due(chance, sql)[:3]
        ]
        evaluations.bury(self._app, "states/worker", burials)

    def decide(self, chance: random.Random, sql: psycopg.Connection[Any]) -> None:
        chosen = _ids(sql, "SELECT id FROM public.recovery_candidates WHERE decision = 'pending'", chance)
        choices = [Choice(each) for each in chosen]
        word: verdicts.DecisionWord = "approved" if chance.random() < 0.8 else "rejected"
        verdicts.decide(self._app, choices, word, Person("ann"), None, _ROUTES)

    def deliver(self, chance: random.Random, _: psycopg.Connection[Any]) -> None:
        epoch = locks.acquire(self._app, OUTBOX_LOCK, LEADER, timedelta(minutes=1))
        if epoch is None:
            return
        claimed = outbox.claim(self._app, LEADER, epoch, chance.randint(1, 20))
        chance.shuffle(claimed)
        outbox.complete(self._app, LEADER, epoch, [_completion(chance, event.id) for event in claimed])

    def tell(self, chance: random.Random, sql: psycopg.Connection[Any]) -> None:
        found = sql.execute(
            "SELECT execution_id FROM m10_recovery.execution ORDER BY begun_at DESC LIMIT 40"
        ).fetchall()
        if found:
            word: executions.Result = chance.choice(("succeeded", "failed", "rolled_back"))
            executions.report(self._app, chance.choice(found)[0], word, None, "states")

    def resolve(self, _: random.Random, __: psycopg.Connection[Any]) -> None:
        executions.resolve(self._ops, "states", 100)

    def send_again(self, chance: random.Random, sql: psycopg.Connection[Any]) -> None:
        for event in _ids(sql, "SELECT id FROM m10_recovery.outbox WHERE candidate_id IS NOT NULL", chance, 2):
            events.resend(self._ops, event, "ann", "states", delivered=chance.random() < 0.2)

    def replay(self, chance: random.Random, _: psycopg.Connection[Any]) -> None:
        """Whoever has the lock carries one replay to its end."""
        holder = f"states/{chance.random()}"
        epoch = locks.acquire(self._ops, "dlq_replay", holder, timedelta(minutes=1))
        if epoch is None:
            return
        begun = replays.begin(self._ops, LetterFilter(state="waiting"), 3, 1.0, "ann", "states")
        if begun is not None:
            while replays.replay_items(self._ops, begun.id, holder, epoch, "ann", 20):
                replays.tally(self._ops, begun.id)
            replays.note(self._ops, begun.id, "ann", "done", "done", "rest")
        locks.release(self._ops, "dlq_replay", holder, epoch)

    def by_hand(self, chance: random.Random, sql: psycopg.Connection[Any]) -> None:
        for candidate in _ids(sql, "SELECT id FROM public.recovery_candidates", chance, 2):
            sql.execute(chance.choice(BY_HAND).encode(), [candidate])

    def archive(self, _: random.Random, __: psycopg.Connection[Any]) -> None:
        """All but candidates: what stands in their executions is still to be added up."""
        self._ops.value("archive_provenance", {"older_than": timedelta(seconds=1), "limit": 200})
        self._ops.value("delete_claims", {"older_than": timedelta(0), "limit": 20})
        self._ops.value("delete_dead_letters", {"older_than": timedelta(seconds=5), "limit": 20})

    def _ingest(self, chosen: Sequence[Failure]) -> None:
        failures.ingest(self._app, chosen, "states")
        with self._lock:
            self.sent += len(chosen)

    def _due(self, chance: random.Random, sql: psycopg.Connection[Any]) -> list[inputs.Input]:
        query = "SELECT id FROM public.recovery_candidates WHERE generation > evaluated_generation"
        return list(inputs.read(self._app, _ids(sql, query, chance)).values())


def _failure(chance: random.Random, identity: UUID) -> Failure:
    return parse(
        {
            "failure_match_id": str(identity),
            "error_signature": "s",
            "source": SOURCES[identity.int % len(SOURCES)],
            "failure_payload": {"error_type": "TIMEOUT", "raw": f"too slow {chance.random()}"},
        }
    )


def _completion(chance: random.Random, event: int) -> Completion:
    [outcome] = chance.choices(("delivered", "running", "dead", "failed"), (4, 3, 3, 1))
    return Completion(event, outcome, "http_500", timedelta(0))  # type: ignore[arg-type]


def _ids(sql: psycopg.Connection[Any], query: str, chance: random.Random, most: int = 20) -> list[int]:
    found = [row[0] for row in sql.execute(query.encode())]
    return chance.sample(found, min(len(found), chance.randint(1, most)))


def _decision(chance: random.Random) -> Decision:
    evaluator = SILENT if chance.random() < 0.1 else "rules"
    executes = chance.random() < 0.6
    return Decision(chance.choice(ACTIONS), 0.9, 0.9, (), executes, Reason.EXECUTES, "", evaluator=evaluator)
