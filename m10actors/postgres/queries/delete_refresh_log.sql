-- Deletes one batch of the log of refreshes past its retention (operations role).
WITH gone AS (
DELETE FROM m10_recovery.matview_refresh_log
WHERE id IN (SELECT id FROM m10_recovery.matview_refresh_log
             WHERE started_at < clock_timestamp() - %(older_than)s ORDER BY id LIMIT %(limit)s)
RETURNING 1)
SELECT count(*)::int FROM gone
