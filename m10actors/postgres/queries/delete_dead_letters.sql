-- Deletes one batch of dead letters past their retention; what may have a copy in the stream is remembered as gone (operations role).
WITH gone AS (
DELETE FROM m10_recovery.dead_letter_archive
WHERE id IN (SELECT id FROM m10_recovery.dead_letter_archive
             WHERE archived_at < clock_timestamp() - %(older_than)s ORDER BY archived_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED)
RETURNING dl_msg_id, stage),
named AS (
INSERT INTO m10_recovery.dead_letter_gone (dl_msg_id)
SELECT dl_msg_id FROM gone WHERE dl_msg_id IS NOT NULL AND stage <> 'delivery' ON CONFLICT DO NOTHING)
SELECT count(*)::int FROM gone
