-- Deletes expired locks.
SELECT m10_recovery.cleanup_expired_locks()
