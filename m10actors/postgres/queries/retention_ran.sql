-- Notes the run of a retention job (operations role).
UPDATE m10_recovery.retention_jobs
SET last_run = clock_timestamp(), rows_archived = rows_archived + %(archived)s, rows_deleted = rows_deleted + %(deleted)s,
    retention_days = %(days)s
WHERE name = %(name)s
