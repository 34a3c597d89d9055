-- Sends an event again (operations role).
SELECT outcome, event_id, event_type, destination, candidate_id, execution_status
FROM m10_recovery.resend_event(%(id)s, %(by)s, %(why)s, %(delivered)s)
