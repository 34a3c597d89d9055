-- Moves one batch of provenance rows past their retention to the archive (operations role).
SELECT m10_recovery.archive_provenance(%(older_than)s, %(limit)s)
