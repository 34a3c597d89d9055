-- What is paused now.
SELECT part, paused_by, reason, paused_at, until FROM m10_recovery.paused_parts() ORDER BY part
