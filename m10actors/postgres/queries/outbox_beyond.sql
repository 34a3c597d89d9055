-- Whether there are more events of a state than these (operations role).
SELECT CASE %(state)s::text
    WHEN 'pending' THEN EXISTS (SELECT FROM m10_recovery.outbox o WHERE o.processed_at IS NULL AND o.dead_at IS NULL OFFSET %(searched)s::bigint)
    WHEN 'dead' THEN EXISTS (SELECT FROM m10_recovery.outbox o WHERE o.dead_at IS NOT NULL OFFSET %(searched)s::bigint)
    WHEN 'done' THEN EXISTS (SELECT FROM m10_recovery.outbox o WHERE o.processed_at IS NOT NULL OFFSET %(searched)s::bigint)
    ELSE EXISTS (SELECT FROM m10_recovery.outbox o OFFSET %(searched)s::bigint) END
