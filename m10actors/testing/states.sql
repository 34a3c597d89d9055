-- What must not be, and how much of it there is.
WITH counted AS (
    SELECT a.id, count(x.counted) AS total, count(*) FILTER (WHERE x.counted = 'helped') AS helped,
           count(*) FILTER (WHERE x.counted = 'unknown') AS unknown
    FROM m10_recovery.suggestion_action a LEFT JOIN m10_recovery.execution x ON x.action_id = a.id GROUP BY 1
)
SELECT 'executing without an execution', count(*) FROM public.recovery_candidates c
WHERE c.execution_status = 'executing'
  AND NOT EXISTS (SELECT FROM m10_recovery.execution x WHERE x.candidate_id = c.id AND x.closed_at IS NULL)
UNION ALL
SELECT 'an open execution of what is not executing', count(*)
FROM m10_recovery.execution x JOIN public.recovery_candidates c ON c.id = x.candidate_id
WHERE x.closed_at IS NULL AND (c.execution_status IS DISTINCT FROM 'executing' OR c.round <> x.round)
UNION ALL
SELECT 'two open executions', count(*)
FROM (SELECT FROM m10_recovery.execution x WHERE x.closed_at IS NULL GROUP BY x.candidate_id HAVING count(*) > 1) twice
UNION ALL
SELECT 'published without an execution', count(*)
FROM m10_recovery.outbox o JOIN public.recovery_candidates c ON c.id = o.candidate_id
WHERE NOT EXISTS (SELECT FROM m10_recovery.execution x WHERE x.execution_id = o.event_uuid)
UNION ALL
SELECT 'an end without its moment, or a moment without an end', count(*) FROM public.recovery_candidates c
WHERE (c.closed_at IS NULL) = (c.decision = 'rejected' OR coalesce(
    c.execution_status IN ('succeeded', 'failed', 'rolled_back', 'skipped'), false))
UNION ALL
SELECT 'a source above its cap', count(*)
FROM (SELECT FROM m10_recovery.execution x WHERE x.begun_by IN ('rules', 'chain') GROUP BY x.source HAVING count(*) > %(cap)s) above
UNION ALL
SELECT 'an outcome that is not counted', count(*) FROM m10_recovery.execution x
WHERE x.closed_at IS NOT NULL AND x.counted IS DISTINCT FROM x.outcome
UNION ALL
SELECT 'an action that counts otherwise than its executions', count(*)
FROM m10_recovery.suggestion_action a JOIN counted n USING (id)
WHERE (a.total_applications, a.successful_applications, a.unknown_applications) <> (n.total, n.helped, n.unknown)
