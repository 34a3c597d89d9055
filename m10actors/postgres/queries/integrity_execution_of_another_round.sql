-- Open executions of candidates that are not executing, or are in another round (operations role).
SELECT x.execution_id::text
FROM m10_recovery.execution x JOIN public.recovery_candidates c ON c.id = x.candidate_id
WHERE x.closed_at IS NULL AND (c.execution_status IS DISTINCT FROM 'executing' OR c.round <> x.round)
LIMIT %(limit)s
