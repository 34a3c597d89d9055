-- What must not be in a campaign, in which nothing is archived and all caps stand for all of it; beside what must never be (integrity.py).
WITH counted AS (
    SELECT a.id, count(x.counted) AS total, count(*) FILTER (WHERE x.counted = 'helped') AS helped,
           count(*) FILTER (WHERE x.counted = 'unknown') AS unknown
    FROM m10_recovery.suggestion_action a LEFT JOIN m10_recovery.execution x ON x.action_id = a.id GROUP BY 1
)
SELECT 'a source above its cap', count(*)
FROM (SELECT FROM m10_recovery.execution x WHERE x.begun_by IN ('rules', 'silent', 'chain') GROUP BY x.source HAVING count(*) > %(cap)s) above
UNION ALL
SELECT 'an action that counts otherwise than its executions', count(*)
FROM m10_recovery.suggestion_action a JOIN counted n USING (id)
WHERE (a.total_applications, a.successful_applications, a.unknown_applications) <> (n.total, n.helped, n.unknown)
