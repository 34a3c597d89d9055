-- The dead letters of one message, newest first (operations role).
SELECT s.* FROM m10_recovery.dead_letter_archive d JOIN m10_recovery.dead_letter_summary s ON s.id = d.id
WHERE d.original_msg_id = %(original_msg_id)s ORDER BY d.id DESC LIMIT %(limit)s
