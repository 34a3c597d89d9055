-- Deletes one batch of replays that are not open past their retention, with their items (operations role).
WITH gone AS (
DELETE FROM m10_recovery.replay_run
WHERE id IN (SELECT id FROM m10_recovery.replay_run
             WHERE state <> 'open' AND updated_at < clock_timestamp() - %(older_than)s ORDER BY id LIMIT %(limit)s FOR UPDATE SKIP LOCKED)
RETURNING 1)
SELECT count(*)::int FROM gone
