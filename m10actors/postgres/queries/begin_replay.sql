-- Begins a replay; NULL where nothing can be replayed (operations role).
SELECT m10_recovery.begin_replay(%(wanted)s::jsonb, %(cap)s, %(most)s, %(stop_at)s, %(by)s, %(why)s)
