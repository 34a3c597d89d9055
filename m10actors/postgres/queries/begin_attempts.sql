-- Begins, and counts, an attempt at generations that nobody else has in hand.
SELECT candidate_id, generation, attempts
FROM m10_recovery.begin_attempts(%(worker)s, %(ids)s::bigint[], %(generations)s::int[], %(lease)s, %(evaluators)s::text[])
