-- All about one dead letter, by its number or by its dl_msg_id (operations role). JSON as text: its reader may have to refuse what it says.
SELECT s.*, d.payload::text, d.failure_match_id, d.original_entry_id, m10_recovery.readable(d.archived_at), d.archived_by, d.replayed_as,
       coalesce(d.attempts, '[]')::text
FROM m10_recovery.dead_letter_archive d JOIN m10_recovery.dead_letter_summary s ON s.id = d.id
WHERE d.id = %(id)s OR d.dl_msg_id = %(dl_msg_id)s
