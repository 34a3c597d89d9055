-- Candidates whose round has an end without a moment, or a moment without an end (operations role).
SELECT c.id::text FROM public.recovery_candidates c
WHERE (c.closed_at IS NULL) = (c.decision = 'rejected' OR coalesce(
    c.execution_status IN ('succeeded', 'failed', 'rolled_back', 'skipped'), false))
LIMIT %(limit)s
