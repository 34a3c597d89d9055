-- Writes what happened to a replay that is not over; how it stands then (operations role).
SELECT id, wanted, cap, stop_at, state, phase, note, asked_by, why, created_at, updated_at, steps
FROM m10_recovery.note_replay(%(run)s, %(by)s, %(what)s, %(state)s, %(phase)s)
