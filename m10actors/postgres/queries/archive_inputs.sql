-- Moves one batch of inputs past their retention to the archive (operations role).
SELECT m10_recovery.archive_inputs(%(older_than)s, %(limit)s)
