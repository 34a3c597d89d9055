-- Writes down the run of a job that has just ended, and who asked for it, if anybody did (operations role).
WITH asked AS (
    INSERT INTO m10_recovery.control_log (kind, part, change, changed_by, reason, details)
    SELECT 'job', %(job)s, 'ran', left(%(asked_by)s::text, 500), left(%(error)s::text, 1000),
           jsonb_build_object('outcome', %(outcome)s::text, 'done', %(done)s::jsonb)
    WHERE %(asked_by)s::text IS NOT NULL
)
INSERT INTO m10_recovery.job_run AS r (name, worker, outcome, started_at, done, last_error, last_error_at)
VALUES (%(job)s, %(worker)s, %(outcome)s, clock_timestamp() - %(seconds)s::float8 * interval '1 s', %(done)s::jsonb, left(%(error)s::text, 2000),
        CASE WHEN %(error)s::text IS NOT NULL THEN clock_timestamp() END)
ON CONFLICT (name) DO UPDATE
SET runs = r.runs + 1, worker = excluded.worker, outcome = excluded.outcome, started_at = excluded.started_at, ended_at = excluded.ended_at,
    done = excluded.done, last_error = coalesce(excluded.last_error, r.last_error),
    last_error_at = coalesce(excluded.last_error_at, r.last_error_at)
