-- Open executions whose event is gone, as long as no retention can have deleted it (operations role).
SELECT x.execution_id::text
FROM m10_recovery.execution x
WHERE x.closed_at IS NULL AND x.begun_by <> 'another program'
  AND x.begun_at > now() - (SELECT make_interval(days => j.retention_days) FROM m10_recovery.retention_jobs j WHERE j.name = 'outbox')
  AND NOT EXISTS (SELECT FROM m10_recovery.outbox o WHERE o.candidate_id = x.candidate_id AND o.event_uuid = x.execution_id)
LIMIT %(limit)s
