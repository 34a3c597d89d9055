-- Refreshes a materialized view and logs it (operations role).
SELECT success, duration_ms, error FROM m10_recovery.refresh_mv_tracked(%(view)s)
