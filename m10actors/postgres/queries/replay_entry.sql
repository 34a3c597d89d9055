-- Replays an entry that a person has made readable (operations role).
SELECT outcome, dl_msg_id, generation FROM m10_recovery.replay_entry(%(letter)s, %(candidate_id)s, %(generation)s, %(by)s, %(why)s)
