"""What the loops by hand do in PostgreSQL with a batch of candidate ids: one transaction each."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import psycopg

from bench.evaluators import HANDLED
from bench.hand import Effect, read_all
from bench.stage import Stage

LOOPS = 2
"""Batches in flight."""

COLUMNS = """
SELECT id, generation, evaluated_generation, error_code, error_message, source, fingerprint, occurrence_count,
       created_at, last_executed_at, rate_buckets
FROM public.recovery_candidates WHERE id = ANY (%s::bigint[])
"""
"""What an evaluator gets."""

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
"""The durable effect: message logged, candidate decided, event published; no provenance, no execution, no caps."""

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

EVERY_ROW = """
WITH given AS MATERIALIZED (
         SELECT DISTINCT ON (g.id) g.*, a.id AS action_id
         FROM json_to_recordset(%s::json) AS g(id bigint, action text, sure real, suggestion text, explain jsonb,
                                               rules jsonb, record jsonb)
         JOIN m10_recovery.suggestion_action a ON a.action_code = g.action),
     decided AS (
         UPDATE public.recovery_candidates c
         SET evaluated_generation = 1, evaluated_count = c.occurrence_count, confidence = g.sure,
             suggestion = g.suggestion, explain = g.explain, selected_action_id = g.action_id,
             rules_evaluated = g.rules, updated_at = now(), decision = 'approved', approved_at = now(),
             execution_status = 'executing', last_executed_at = now()
         FROM given g WHERE c.id = g.id AND c.evaluated_generation < 1
         RETURNING c.*, g.action, g.record, gen_random_uuid() AS event_uuid),
     proven AS (
         INSERT INTO m10_recovery.suggestion_provenance
             (suggestion_id, event_type, details, action_id, confidence_before, confidence_after, actor, actor_type)
         SELECT d.id, step.event_type, step.details, d.selected_action_id, 0, d.confidence, 'by hand', 'system'
         FROM decided d, LATERAL (VALUES ('rule_evaluated', d.record), ('action_selected', '{"generation": 1}'),
                                         ('executed', '{"generation": 1}')) AS step(event_type, details)),
     logged AS (
         INSERT INTO m10_recovery.replay_log (message_id, candidate_id) SELECT id || ':1', id FROM decided
         ON CONFLICT (message_id) DO NOTHING),
     begun AS (
         INSERT INTO m10_recovery.execution (execution_id, candidate_id, round, generation, action_id, error_code,
                                             fingerprint, source, begun_by, follows)
         SELECT event_uuid, id, 1, 1, selected_action_id, error_code, fingerprint, source, 'rules', '[]' FROM decided),
     admitted AS (
         INSERT INTO m10_recovery.admission_count AS c (kind, name, slot, used)
         SELECT k.kind, k.name, date_bin('5 minutes', now(), timestamptz '2000-01-01 00:00Z'), count(*)
         FROM decided d, LATERAL (VALUES ('candidate', d.id::text), ('source', d.source), ('action', d.action),
                                         ('total', '')) AS k(kind, name)
         GROUP BY k.kind, k.name ORDER BY k.kind, k.name
         ON CONFLICT (kind, name, slot) DO UPDATE SET used = c.used + excluded.used)
INSERT INTO m10_recovery.outbox (aggregate_type, aggregate_id, event_type, payload, event_uuid, destination,
                                 candidate_id, round)
SELECT 'recovery_candidate', d.id::text, 'webhook:recovery', jsonb_build_object('data', jsonb_build_object(
           'version', 1, 'event_id', d.event_uuid, 'execution_id', d.event_uuid, 'candidate_id', d.id, 'generation', 1,
           'action', d.action, 'template', '{}'::jsonb, 'failure', jsonb_build_object(
               'match_id', d.failure_match_id, 'signature', d.error_signature, 'code', d.error_code,
               'message', d.error_message, 'source', d.source, 'fingerprint', d.fingerprint,
               'occurrences', d.occurrence_count, 'first_seen', d.created_at, 'last_seen', d.last_occurrence_at),
           'confidence', d.confidence, 'explain', d.explain, 'decided_by', 'rules', 'decided_at', now())),
       d.event_uuid, 'receiver', d.id, 1
FROM decided d
"""
"""Every row that the engine writes, with the same columns: those of the effect, provenance, execution, caps. One JSON
text in: no array is as fast with this driver.
"""

Decide = Callable[[Sequence[Any]], Mapping[str, object]]
"""From a row of COLUMNS to a record of EVERY_ROW."""
Make = Callable[[psycopg.Connection], Effect]
"""A loop's own way to its effect."""


def loops_by_hand(stage: Stage, count: int, make: Make) -> float:
    """Messages a second, with two batches in flight."""
    with stage.connect() as one, stage.connect() as other:
        return count / read_all(stage, [make(one), make(other)])


def writing(statement: str) -> Make:
    """Only writes. The array as text: the driver's own way through a list is slower."""
    return lambda connection: lambda ids: connection.execute(statement.encode(), [_array(ids)])


def reading_and_writing(statement: str) -> Make:
    """Reads what an evaluator gets, and writes, in one transaction."""

    def make(connection: psycopg.Connection) -> Effect:
        def effect(ids: Sequence[int]) -> None:
            with connection.transaction():
                due = [row[0] for row in _read(connection, ids) if row[1] > row[2]]
                connection.execute(statement.encode(), [_array(due)])

        return effect

    return make


def handling(statement: str) -> Make:
    """Reads, does in pipeline mode what a handler does for each message, and writes, in one transaction."""

    def make(connection: psycopg.Connection) -> Effect:
        def effect(ids: Sequence[int]) -> None:
            with connection.transaction():
                due = [(row[0], row[3]) for row in _read(connection, ids) if row[1] > row[2]]
                with connection.pipeline():
                    for row in due:
                        connection.execute(HANDLED, row)
                connection.execute(statement.encode(), [_array([row[0] for row in due])])

        return effect

    return make


def deciding(decide: Decide) -> Make:
    """Reads, decides each, and writes every row that the engine writes, in one transaction."""

    def make(connection: psycopg.Connection) -> Effect:
        def effect(ids: Sequence[int]) -> None:
            with connection.transaction():
                decided = [decide(row) for row in _read(connection, ids) if row[1] > row[2]]
                connection.execute(EVERY_ROW, [json.dumps(decided)])

        return effect

    return make


def _read(connection: psycopg.Connection, ids: Sequence[int]) -> Sequence[Any]:
    with connection.cursor(binary=True) as cursor:
        return cursor.execute(COLUMNS, [_array(ids)]).fetchall()


def _array(ids: Sequence[int]) -> str:
    return "{" + ",".join(map(str, ids)) + "}"
