-- Candidates with more than one open execution (operations role).
SELECT x.candidate_id::text FROM m10_recovery.execution x
WHERE x.closed_at IS NULL GROUP BY x.candidate_id HAVING count(*) > 1 LIMIT %(limit)s
