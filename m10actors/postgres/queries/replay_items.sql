-- Replays the next items of a replay (operations role).
SELECT dl_msg_id, stage, refused, candidate_id, generation
FROM m10_recovery.replay_items(%(run)s, %(holder)s, %(epoch)s, %(by)s, %(limit)s)
