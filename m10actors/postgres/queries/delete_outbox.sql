-- Deletes one batch of delivered events past their retention (operations role).
WITH gone AS (
DELETE FROM m10_recovery.outbox
WHERE id IN (SELECT id FROM m10_recovery.outbox
             WHERE processed_at < clock_timestamp() - %(older_than)s ORDER BY id LIMIT %(limit)s FOR UPDATE SKIP LOCKED)
RETURNING 1)
SELECT count(*)::int FROM gone
