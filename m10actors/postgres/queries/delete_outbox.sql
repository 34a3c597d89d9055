-- Deletes one batch of delivered events past their retention (operations role).
SELECT m10_recovery.delete_events(%(older_than)s, %(limit)s)
