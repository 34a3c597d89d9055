-- Events claimed in an epoch that was never given: a restored database whose epochs were not raised (operations role).
SELECT o.id::text FROM m10_recovery.outbox o
WHERE o.processed_at IS NULL AND o.dead_at IS NULL
  AND o.claimed_epoch > coalesce((SELECT e.epoch FROM m10_recovery.lock_epoch e WHERE e.lock_name = 'm10:outbox_processor'), 0)
LIMIT %(limit)s
