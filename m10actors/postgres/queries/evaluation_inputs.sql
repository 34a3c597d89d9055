-- What an evaluator needs to know of these candidates.
SELECT * FROM m10_recovery.evaluation_inputs(%(ids)s::bigint[])
