-- When, by whom and why a message was sent or evaluated again, newest first (operations role).
SELECT m10_recovery.readable(r.replayed_at), r.replayed_by, r.why, r.dl_msg_id FROM m10_recovery.replay_log r
WHERE r.original_msg_id = %(original_msg_id)s AND r.replayed_at IS NOT NULL ORDER BY r.id DESC LIMIT %(limit)s
