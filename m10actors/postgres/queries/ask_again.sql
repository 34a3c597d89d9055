-- Puts back what a worker has in hand, for an evaluator to be asked again later.
SELECT m10_recovery.ask_again(%(worker)s, %(ids)s::bigint[], %(generations)s::int[], %(delays)s::interval[], %(counted)s::boolean[])
