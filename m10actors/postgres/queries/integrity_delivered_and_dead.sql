-- Events that are delivered and dead (operations role).
SELECT o.id::text FROM m10_recovery.outbox o WHERE o.processed_at IS NOT NULL AND o.dead_at IS NOT NULL LIMIT %(limit)s
