-- Counts of candidates and the oldest of what waits.
SELECT * FROM m10_recovery.recovery_stats(%(sources)s::int)
