-- Deletes one batch of evaluation claims that ran out long ago (operations role).
WITH gone AS (
DELETE FROM m10_recovery.evaluation_claim k
WHERE k.claimed_until < clock_timestamp() - %(older_than)s
  AND (k.candidate_id, k.generation) IN (
      SELECT c.candidate_id, c.generation FROM m10_recovery.evaluation_claim c
      WHERE c.claimed_until < clock_timestamp() - %(older_than)s LIMIT %(limit)s)
RETURNING 1)
SELECT count(*)::int FROM gone
