-- Executions under way, one row (metrics role).
SELECT open, oldest_seconds FROM m10_recovery.metrics_executions
