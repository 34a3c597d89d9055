-- Pauses a destination, unless it is paused (operations role).
INSERT INTO m10_recovery.paused_destination (name, reason)
SELECT %(name)s, %(reason)s FROM (SELECT set_config('m10_recovery.acting', %(by)s, true)) me
ON CONFLICT (name) DO NOTHING RETURNING name
