-- Deletes one batch of replay-log rows past their retention (operations role).
WITH gone AS (
DELETE FROM m10_recovery.replay_log
WHERE id IN (SELECT id FROM m10_recovery.replay_log WHERE processed_at < clock_timestamp() - %(older_than)s LIMIT %(limit)s)
RETURNING 1)
SELECT count(*)::int FROM gone
