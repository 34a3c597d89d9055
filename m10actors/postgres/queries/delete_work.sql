-- Deletes one batch of finished rows of the fallback queue past their retention (operations role).
WITH gone AS (
DELETE FROM m10_recovery.work_queue
WHERE id IN (SELECT id FROM m10_recovery.work_queue
             WHERE processed_at < clock_timestamp() - %(older_than)s ORDER BY id LIMIT %(limit)s FOR UPDATE SKIP LOCKED)
RETURNING 1)
SELECT count(*)::int FROM gone
