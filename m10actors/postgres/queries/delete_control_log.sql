-- Deletes one batch of what operators changed past its retention (operations role).
SELECT m10_recovery.delete_control_log(%(older_than)s, %(limit)s)
