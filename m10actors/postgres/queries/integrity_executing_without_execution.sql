-- Candidates that are executing, and nothing carries that out (operations role).
SELECT c.id::text FROM public.recovery_candidates c
WHERE c.execution_status = 'executing'
  AND NOT EXISTS (SELECT FROM m10_recovery.execution x WHERE x.candidate_id = c.id AND x.closed_at IS NULL)
LIMIT %(limit)s
