-- Deletes one batch of evaluation claims that ran out long ago, and whose evaluation has ended or has no candidate (operations role). The others
-- hold what is still needed: how often it was begun, and for which evaluator it waits since when.
WITH gone AS (
DELETE FROM m10_recovery.evaluation_claim k
WHERE (k.candidate_id, k.generation) IN (
    SELECT o.candidate_id, o.generation
    FROM m10_recovery.evaluation_claim o LEFT JOIN public.recovery_candidates c ON c.id = o.candidate_id
    WHERE o.claimed_until < clock_timestamp() - %(older_than)s AND (c.id IS NULL OR c.evaluated_generation >= o.generation)
    ORDER BY o.candidate_id, o.generation LIMIT %(limit)s FOR UPDATE OF o SKIP LOCKED)
RETURNING 1)
SELECT count(*)::int FROM gone
