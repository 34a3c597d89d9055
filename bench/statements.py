"""The SQL of the loops by hand, of W2 and W5. Nothing of the engine is imported here: the handlers of other queues
(bench/peers), which have an environment of their own, use it too.
"""

COLUMNS = """id, generation, evaluated_generation, error_code, error_message, source, fingerprint, occurrence_count,
       created_at, last_executed_at, rate_buckets"""
"""What an evaluator gets of a candidate."""
READ = f"SELECT {COLUMNS} FROM public.recovery_candidates WHERE id = ANY (%s)"

EFFECT_ALONE = """
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
"""The effect alone: message logged, candidate decided, event published; no provenance, no execution, no caps."""

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

EFFECT_ON_BARE_TABLES = """
WITH given AS (SELECT DISTINCT id FROM unnest(%s::bigint[]) id),
     logged AS (INSERT INTO bare.replay_log (message_id) SELECT id || ':1' FROM given
                ON CONFLICT (message_id) DO NOTHING),
     decided AS (UPDATE bare.candidates c SET decision = 'approved', attempts = c.attempts + 1, updated_at = now()
                 FROM given g WHERE c.id = g.id RETURNING c.id)
INSERT INTO bare.outbox (message_id, candidate_id, topic, payload)
SELECT id || ':1', id, 'webhook:recovery', '{"action": "retry_exponential"}' FROM decided
"""

_ROWS = """
WITH given AS MATERIALIZED (
         SELECT DISTINCT ON (g.id) g.*, a.id AS action_id
         FROM unnest(%s::bigint[], %s::text[], %s::real[], %s::text[], %s::text[], %s::text[], %s::text[])
                  AS g(id, action, sure, suggestion, explain, rules, record)
         JOIN m10_recovery.suggestion_action a ON a.action_code = g.action),
     decided AS (
         UPDATE public.recovery_candidates c
         SET evaluated_generation = 1, evaluated_count = c.occurrence_count, confidence = g.sure,
             suggestion = g.suggestion, explain = g.explain::jsonb, selected_action_id = g.action_id,
             rules_evaluated = g.rules::jsonb, updated_at = now(), decision = 'approved', approved_at = now(),
             execution_status = 'executing', last_executed_at = now()
         FROM given g WHERE c.id = g.id AND c.evaluated_generation < 1
         RETURNING c.*, g.action, g.record, gen_random_uuid() AS event_uuid),
     {proven}logged AS (
         INSERT INTO m10_recovery.replay_log (message_id, candidate_id) SELECT id || ':1', id FROM decided
         ON CONFLICT (message_id) DO NOTHING),
     begun AS (
         INSERT INTO m10_recovery.execution (execution_id, candidate_id, round, generation, action_id, error_code,
                                             fingerprint, source, begun_by, follows, by_itself)
         SELECT event_uuid, id, 1, 1, selected_action_id, error_code, fingerprint, source, 'rules', '[]', true
         FROM decided),
     admitted AS (
         INSERT INTO m10_recovery.admission_count AS c (kind, name, slot, used)
         SELECT k.kind, k.name, date_bin('5 minutes', now(), timestamptz '2000-01-01 00:00Z'), count(*)
         FROM decided d, LATERAL (VALUES ('source', d.source), ('action', d.action), ('total', '')) AS k(kind, name)
         GROUP BY k.kind, k.name ORDER BY k.kind, k.name
         ON CONFLICT (kind, name, slot) DO UPDATE SET used = c.used + excluded.used)
INSERT INTO m10_recovery.outbox (aggregate_type, aggregate_id, event_type, payload, event_uuid, destination,
                                 candidate_id, round, by_itself)
SELECT 'recovery_candidate', d.id::text, 'webhook:recovery', jsonb_build_object('data', jsonb_build_object(
           'version', 1, 'event_id', d.event_uuid, 'execution_id', d.event_uuid, 'candidate_id', d.id, 'generation', 1,
           'action', d.action, 'template', '{{}}'::jsonb, 'failure', jsonb_build_object(
               'match_id', d.failure_match_id, 'signature', d.error_signature, 'code', d.error_code,
               'message', d.error_message, 'source', d.source, 'fingerprint', d.fingerprint,
               'occurrences', d.occurrence_count, 'first_seen', d.created_at, 'last_seen', d.last_occurrence_at),
           'confidence', d.confidence, 'explain', d.explain, 'decided_by', 'rules', 'decided_at', now())),
       d.event_uuid, 'receiver', d.id, 1, true
FROM decided d
"""
_PROVEN = """proven AS (
         INSERT INTO m10_recovery.suggestion_provenance
             (suggestion_id, event_type, details, action_id, confidence_before, confidence_after, actor, actor_type,
              duration_ms)
         SELECT d.id, step.event_type, step.details, d.selected_action_id, 0, d.confidence, 'by hand', 'system', 0
         FROM decided d, LATERAL (VALUES ('rule_evaluated', d.record::jsonb), ('action_selected', '{"generation": 1}'),
                                         ('executed', '{"generation": 1}')) AS step(event_type, details)),
     """
SAME_ROWS = _ROWS.format(proven="")
"""The rows of an evaluation that leaves no provenance, in all columns that the engine writes: effect, execution,
counters of the caps. Takes what `bench.words` decides, as an array for each part; no record is read.
"""
WITH_PROVENANCE = _ROWS.format(proven=_PROVEN)
"""The same with provenance, its records among it."""
