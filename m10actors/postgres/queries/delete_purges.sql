-- Deletes one batch of the log of purges past its retention (operations role).
WITH gone AS (
DELETE FROM m10_recovery.dead_letter_purge
WHERE id IN (SELECT id FROM m10_recovery.dead_letter_purge
             WHERE began_at < clock_timestamp() - %(older_than)s ORDER BY id LIMIT %(limit)s FOR UPDATE SKIP LOCKED)
RETURNING 1)
SELECT count(*)::int FROM gone
