-- Deletes one batch of first approvals that lapsed before their retention (operations role).
SELECT m10_recovery.delete_approvals(%(older_than)s, %(limit)s)
