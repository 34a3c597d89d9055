-- Generations of candidates whose evaluation took effect more than once, as candidate:generation (operations role).
SELECT p.suggestion_id || ':' || (p.details ->> 'generation') FROM m10_recovery.suggestion_provenance p
WHERE p.event_type = 'rule_evaluated' AND p.details ? 'generation'
GROUP BY p.suggestion_id, p.details ->> 'generation' HAVING count(*) > 1 LIMIT %(limit)s
