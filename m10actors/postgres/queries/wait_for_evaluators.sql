-- Has generations wait for evaluators.
SELECT m10_recovery.wait_for_evaluators(%(worker)s, %(ids)s::bigint[], %(generations)s::int[], %(evaluators)s::text[])
