-- The sweep: claims what has been due for longer than it should, but for what the stream is known to tell of.
SELECT candidate_id, generation, attempts
FROM m10_recovery.claim_overdue(
    %(worker)s, %(limit)s, %(overdue)s, %(lease)s, %(evaluators)s::text[], %(told)s::bigint[], %(told_overdue)s)
