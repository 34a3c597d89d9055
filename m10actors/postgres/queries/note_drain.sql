-- Writes down who asked a process to end (operations role).
INSERT INTO m10_recovery.control_log (kind, part, change, changed_by) VALUES ('process', %(worker)s, 'drain asked', left(%(by)s, 500))
