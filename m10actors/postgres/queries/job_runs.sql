-- The last run of each job (operations role).
SELECT name, runs, worker, outcome, started_at, ended_at, extract(epoch FROM ended_at - started_at)::float8, done, last_error, last_error_at
FROM m10_recovery.job_run ORDER BY name
