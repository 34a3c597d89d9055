-- What a purge would delete (operations role).
SELECT stage, fingerprint, min(cause), is_replayed, count(*) FROM m10_recovery.purgeable(%(wanted)s::jsonb)
GROUP BY 1, 2, 4 ORDER BY 5 DESC, 1, 2, 4
