-- The last evaluation of a candidate, and what it saw.
SELECT decided_at, record FROM m10_recovery.last_record(%(id)s)
