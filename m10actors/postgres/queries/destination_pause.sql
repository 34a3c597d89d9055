-- Pauses a destination, unless it is paused (operations role).
INSERT INTO m10_recovery.paused_destination (name, reason) VALUES (%(name)s, %(reason)s) ON CONFLICT (name) DO NOTHING RETURNING name
