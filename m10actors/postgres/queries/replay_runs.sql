-- Replays, newest first, or one of them (operations role).
SELECT id, wanted, cap, stop_at, state, phase, note, asked_by, why, created_at, updated_at, steps
FROM m10_recovery.replay_run
WHERE (%(run)s::bigint IS NULL OR id = %(run)s::bigint) AND (%(state)s::text IS NULL OR state = %(state)s::text)
ORDER BY id DESC LIMIT %(limit)s
