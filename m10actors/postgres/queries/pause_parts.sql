-- Pauses parts of the engine (operations role).
SELECT part, paused_by, reason, paused_at, until
FROM m10_recovery.pause_parts(%(parts)s::text[], %(by)s, %(reason)s, %(duration)s::interval) ORDER BY part
