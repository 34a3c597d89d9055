-- Deletes one batch of ended executions past their retention, of candidates that came to many rounds (operations role). Kept is what a decision
-- still reads: the present round, and the last 50 known outcomes of an error code and of a fingerprint (past_cases).
WITH gone AS (
DELETE FROM m10_recovery.execution
WHERE execution_id IN (
    SELECT x.execution_id
    FROM public.recovery_candidates c
    JOIN m10_recovery.execution x ON x.candidate_id = c.id AND x.round < c.round
    LEFT JOIN LATERAL (SELECT k.closed_at FROM m10_recovery.execution k
                       WHERE left(k.error_code, 200) = left(x.error_code, 200) AND k.outcome <> 'unknown' AND isfinite(k.closed_at)
                       ORDER BY k.closed_at DESC OFFSET 49 LIMIT 1) of_code ON true
    LEFT JOIN LATERAL (SELECT k.closed_at FROM m10_recovery.execution k
                       WHERE left(k.fingerprint, 200) = left(x.fingerprint, 200) AND k.outcome <> 'unknown' AND isfinite(k.closed_at)
                       ORDER BY k.closed_at DESC OFFSET 49 LIMIT 1) of_fingerprint ON true
    WHERE c.round > 50 AND x.closed_at < clock_timestamp() - %(older_than)s
      AND (x.outcome = 'unknown'
           OR (x.error_code IS NULL OR x.closed_at < of_code.closed_at)
          AND (x.fingerprint IS NULL OR x.closed_at < of_fingerprint.closed_at))
    LIMIT %(limit)s FOR UPDATE OF x SKIP LOCKED)
RETURNING 1)
SELECT count(*)::int FROM gone
