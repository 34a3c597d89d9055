"""W2: one durable effect a message. In one transaction the message is logged, its candidate decided, an event
published; acknowledged after the commit.
"""

from collections.abc import Mapping, Sequence
from unittest.mock import patch

import psycopg

from bench.hand import Effect, read_all
from bench.stage import Stage
from m10actors.recovery.actions import Action
from m10actors.recovery.decision import Candidate, Decision, History, Policy, Reason, RuleMatch
from m10actors.testing import account

EFFECTS = 10_000
LOOPS = 2

OUR_TABLES = """
WITH given AS (SELECT DISTINCT id FROM unnest(%s::bigint[]) id),
     logged AS (INSERT INTO m10_recovery.replay_log (message_id, candidate_id)
                SELECT id || ':1', id FROM given ON CONFLICT (message_id) DO NOTHING),
     decided AS (UPDATE public.recovery_candidates c
                 SET decision = 'approved', evaluated_generation = 1, evaluated_count = c.occurrence_count,
                     updated_at = now()
                 FROM given g WHERE c.id = g.id AND c.evaluated_generation < 1 RETURNING c.id)
INSERT INTO m10_recovery.outbox (aggregate_type, aggregate_id, event_type, payload, candidate_id, round)
SELECT 'recovery_candidate', id::text, 'webhook:recovery', '{"action": "retry_exponential"}', id, 1 FROM decided
"""

MAKE_BARE_TABLES = """
DROP SCHEMA IF EXISTS bare CASCADE;
CREATE SCHEMA bare;
CREATE TABLE bare.replay_log (message_id text PRIMARY KEY, processed_at timestamptz NOT NULL DEFAULT now());
CREATE TABLE bare.candidates (
    id bigint PRIMARY KEY, decision text NOT NULL DEFAULT 'pending', attempts int NOT NULL DEFAULT 0,
    updated_at timestamptz);
CREATE TABLE bare.outbox (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, message_id text, candidate_id bigint, topic text, payload jsonb,
    delivered_at timestamptz);
CREATE INDEX ON bare.outbox (id) WHERE delivered_at IS NULL;
"""

BARE_TABLES = """
WITH given AS (SELECT DISTINCT id FROM unnest(%s::bigint[]) id),
     logged AS (INSERT INTO bare.replay_log (message_id) SELECT id || ':1' FROM given
                ON CONFLICT (message_id) DO NOTHING),
     decided AS (UPDATE bare.candidates c SET decision = 'approved', attempts = c.attempts + 1, updated_at = now()
                 FROM given g WHERE c.id = g.id RETURNING c.id)
INSERT INTO bare.outbox (message_id, candidate_id, topic, payload)
SELECT id || ':1', id, 'webhook:recovery', '{"action": "retry_exponential"}' FROM decided
"""


class DurableEffect:
    """The engine with a decision that is no work, delivering nothing; by hand: two loops with one statement a batch, on
    the engine's tables and on bare ones.
    """

    figures = (("W2 durable effect, same tables", "effects/s"), ("W2 durable effect, bare tables", "effects/s"))

    def __init__(self, stage: Stage, scale: float) -> None:
        self._stage = stage
        self._count = int(EFFECTS * scale)

    def ours(self) -> Sequence[float]:
        self._stage.announce(self._stage.due(self._count))
        with self._stage.without_delivery(), patch("m10actors.evaluation.decide", _no_work):
            rate = self._stage.rate(self._count, lambda: account.is_evaluated(self._stage.parts.ops))
        self._stage.forget(events=self._count)
        return [rate, rate]

    def by_hand(self) -> Sequence[float]:
        self._stage.announce(self._stage.due(self._count))
        same = self._run(OUR_TABLES)
        self._stage.forget(events=self._count)
        self._stage.sql(MAKE_BARE_TABLES)
        self._stage.sql("INSERT INTO bare.candidates (id) SELECT generate_series(1, %s::int)", self._count)
        self._stage.sql("ANALYZE bare.candidates")
        self._stage.announce(range(1, self._count + 1))
        return [same, self._run(BARE_TABLES)]

    def _run(self, statement: str) -> float:
        with self._stage.connect() as one, self._stage.connect() as other:
            return self._count / read_all(self._stage, [_effect(one, statement), _effect(other, statement)])


def _effect(connection: psycopg.Connection, statement: str) -> Effect:
    """The array as text: the driver's own way through a list is slower."""
    return lambda ids: connection.execute(statement.encode(), ["{" + ",".join(map(str, ids)) + "}"])


def _no_work(_candidate: Candidate, _history: History, _actions: Mapping[str, Action], _policy: Policy) -> Decision:
    return _DECIDED


_DECIDED = Decision(
    action="retry_exponential",
    total=0.85,
    confidence=0.85,
    matched=(RuleMatch("timeout_retry", "retry_exponential", 0.85, 0.0, "TIMEOUT"),),
    execute=True,
    reason=Reason.EXECUTES,
    suggestion="retry",
)
