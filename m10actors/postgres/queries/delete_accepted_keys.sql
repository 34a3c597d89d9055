-- Deletes one batch of idempotency keys past their retention (operations role).
WITH gone AS (
DELETE FROM m10_recovery.accepted_key
WHERE key IN (SELECT key FROM m10_recovery.accepted_key WHERE accepted_at < clock_timestamp() - %(older_than)s LIMIT %(limit)s)
RETURNING 1)
SELECT count(*)::int FROM gone
