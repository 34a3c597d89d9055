-- Deletes one batch of a purge; how many (operations role).
SELECT m10_recovery.purge_dead_letters(%(purge)s, %(limit)s)
