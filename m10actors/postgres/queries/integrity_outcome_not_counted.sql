-- Executions that have ended and are not counted as what they came to (operations role).
-- `grace`: how long after a failure came back a job may take to count it.
SELECT x.execution_id::text FROM m10_recovery.execution x
WHERE x.closed_at IS NOT NULL AND x.counted IS DISTINCT FROM x.outcome
  AND (x.came_back_at IS NULL OR x.came_back_at <= now() - coalesce(%(grace)s::interval, '0'))
LIMIT %(limit)s
