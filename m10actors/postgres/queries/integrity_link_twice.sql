-- Executions of one candidate that are the same link of the same round, as candidate:round:link (operations role).
SELECT concat_ws(':', x.candidate_id, x.round, x.link) FROM m10_recovery.execution x
GROUP BY x.candidate_id, x.round, x.link HAVING count(*) > 1 LIMIT %(limit)s
