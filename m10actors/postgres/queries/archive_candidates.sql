-- Moves one batch of closed candidates past their retention, with their rows, to the archive (operations role).
SELECT m10_recovery.archive_candidates(%(older_than)s, %(limit)s)
