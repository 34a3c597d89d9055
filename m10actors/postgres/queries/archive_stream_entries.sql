-- Archives dead letters found in the stream, each once per dl_msg_id; how many were new (operations role).
WITH archived AS (
    INSERT INTO m10_recovery.dead_letter_archive (dl_msg_id, payload, reason, original_entry_id, archived_by)
    SELECT DISTINCT ON (n.dl_msg_id) n.dl_msg_id, n.payload, n.reason, n.entry_id, 'dl_reconcile'
    FROM unnest(%(dl_msg_ids)s::text[], %(payloads)s::jsonb[], %(reasons)s::text[], %(entry_ids)s::text[])
        AS n(dl_msg_id, payload, reason, entry_id)
    ORDER BY n.dl_msg_id
    ON CONFLICT (dl_msg_id) DO NOTHING
    RETURNING 1)
SELECT count(*)::int FROM archived
