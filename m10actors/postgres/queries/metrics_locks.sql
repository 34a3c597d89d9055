-- The locks and their epochs (metrics role).
SELECT lock_name, active, epoch FROM m10_recovery.metrics_locks
