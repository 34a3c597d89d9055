-- Events that wait behind one that is closed or gone, after the job that frees them has had its time (operations role).
SELECT o.id::text FROM m10_recovery.outbox o
LEFT JOIN m10_recovery.outbox b ON b.id = o.waits_behind
WHERE o.waits_behind IS NOT NULL AND o.processed_at IS NULL AND o.dead_at IS NULL
  AND (b.id IS NULL OR coalesce(b.processed_at, b.dead_at) <= now() - coalesce(%(grace)s::interval, '0'))
LIMIT %(limit)s
