-- Evaluations that left no provenance, as candidate:generation, as far as the replay log goes back (operations role).
-- `silent`: the evaluators that are configured to leave none.
SELECT m.message_id
FROM public.recovery_candidates c, LATERAL (SELECT c.id || ':' || c.evaluated_generation AS message_id) m
WHERE c.evaluated_generation > 0 AND c.evaluation_error IS NULL
  AND coalesce(c.explain ->> 'evaluator', 'rules') <> ALL (coalesce(%(silent)s::text[], '{}'))
  AND EXISTS (SELECT FROM m10_recovery.replay_log r WHERE r.message_id = m.message_id)
  AND NOT EXISTS (SELECT FROM m10_recovery.suggestion_provenance p
                  WHERE p.suggestion_id = c.id AND p.event_type = 'rule_evaluated' AND p.details ->> 'generation' = c.evaluated_generation::text)
  AND NOT EXISTS (SELECT FROM m10_recovery.suggestion_provenance_archive p
                  WHERE p.suggestion_id = c.id AND p.event_type = 'rule_evaluated' AND p.details ->> 'generation' = c.evaluated_generation::text)
LIMIT %(limit)s
