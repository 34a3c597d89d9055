-- Depths and ages, one row (metrics role).
SELECT * FROM m10_recovery.metrics_depths
