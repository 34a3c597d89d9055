-- Actions that count fewer executions than there are; those of archived candidates are counted and gone (operations role).
SELECT a.action_code
FROM m10_recovery.suggestion_action a
JOIN (SELECT x.action_id, count(x.counted) AS total FROM m10_recovery.execution x GROUP BY 1) n ON n.action_id = a.id
WHERE a.total_applications < n.total
LIMIT %(limit)s
