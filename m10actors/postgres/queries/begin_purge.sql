-- Writes down who purges what, and why (operations role).
INSERT INTO m10_recovery.dead_letter_purge (wanted, asked_by, why) VALUES (%(wanted)s::jsonb, %(by)s, %(why)s) RETURNING id
