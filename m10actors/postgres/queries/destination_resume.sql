-- Ends the pause of a destination (operations role).
DELETE FROM m10_recovery.paused_destination WHERE name = %(name)s RETURNING name
