-- Dead events and given-up evaluations (candidate:generation) without a dead letter, as far as none can have been purged or deleted
-- (operations role).
WITH kept AS (
    SELECT greatest((SELECT max(coalesce(p.ended_at, 'infinity')) FROM m10_recovery.dead_letter_purge p),
                    now() - (SELECT make_interval(days => j.retention_days) FROM m10_recovery.retention_jobs j
                             WHERE j.name = 'dead_letter_archive')) AS since
)
(SELECT 'event ' || o.id FROM m10_recovery.outbox o, kept
 WHERE o.dead_at > kept.since AND NOT EXISTS (SELECT FROM m10_recovery.dead_letter_archive d WHERE d.original_msg_id = 'outbox:' || o.id)
 LIMIT %(limit)s)
UNION ALL
(SELECT p.suggestion_id || ':' || (p.details ->> 'generation') FROM m10_recovery.suggestion_provenance p, kept
 WHERE p.event_type = 'evaluation_given_up' AND p.created_at > kept.since
   AND NOT EXISTS (SELECT FROM m10_recovery.dead_letter_archive d
                   WHERE d.original_msg_id = p.suggestion_id || ':' || (p.details ->> 'generation'))
 LIMIT %(limit)s)
