-- Age of the last successful refresh of each view (metrics role).
SELECT view_name, age_seconds, last_success, last_attempt_succeeded, last_error FROM m10_recovery.matview_freshness
