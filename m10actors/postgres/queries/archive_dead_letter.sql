-- Writes a dead letter of record, once per dl_msg_id.
SELECT m10_recovery.archive_dead_letter(%(dl_msg_id)s, %(original_msg_id)s, %(candidate_id)s, NULL, %(payload)s::jsonb, %(reason)s,
    0, %(dead_lettered_at)s, %(archived_by)s)
