-- Events that carry out actions of the present round of their candidates, and have no execution (operations role).
SELECT o.id::text
FROM m10_recovery.outbox o JOIN public.recovery_candidates c ON c.id = o.candidate_id AND c.round = o.round
WHERE NOT EXISTS (SELECT FROM m10_recovery.execution x WHERE x.execution_id = o.event_uuid)
LIMIT %(limit)s
