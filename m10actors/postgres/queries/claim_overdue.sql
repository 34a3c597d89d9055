-- The sweep: claims what has been due for longer than it should.
SELECT candidate_id, generation, attempts
FROM m10_recovery.claim_overdue(%(worker)s, %(limit)s, %(overdue)s, %(lease)s, %(evaluators)s::text[])
