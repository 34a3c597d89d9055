-- Prolongs attempts that a worker has begun.
SELECT m10_recovery.renew_attempts(%(worker)s, %(ids)s::bigint[], %(generations)s::int[], %(lease)s)
