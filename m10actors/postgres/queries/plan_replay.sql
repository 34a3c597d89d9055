-- What a replay would do (operations role).
SELECT stage, fingerprint, cause, refused, count, sample_id FROM m10_recovery.plan_replay(%(wanted)s::jsonb, %(cap)s, %(most)s)
