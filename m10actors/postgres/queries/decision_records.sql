-- A page of evaluations with what each saw, the newest first.
SELECT id, candidate_id, record
FROM m10_recovery.decision_records(%(since)s, %(until)s, %(after)s::bigint, %(before)s::bigint, %(limit)s::int)
