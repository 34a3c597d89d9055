-- Ends the pause of a destination (operations role).
DELETE FROM m10_recovery.paused_destination USING (SELECT set_config('m10_recovery.acting', %(by)s, true)) me
WHERE name = %(name)s RETURNING name
