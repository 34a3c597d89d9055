-- Deletes one batch of dead letters past their retention (operations role).
WITH gone AS (
DELETE FROM m10_recovery.dead_letter_archive
WHERE id IN (SELECT id FROM m10_recovery.dead_letter_archive
             WHERE archived_at < clock_timestamp() - %(older_than)s ORDER BY archived_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED)
RETURNING 1)
SELECT count(*)::int FROM gone
