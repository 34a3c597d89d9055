-- Writes the result of an execution, which its receiver tells; one row, whatever became of it.
SELECT outcome, candidate_id, status, ended_by, result, detail, told_by, told_at, message_due, next_event_type
FROM m10_recovery.report_result(%(execution_id)s::uuid, %(status)s, %(detail)s::jsonb, %(by)s)
