-- How often generations were begun, whether somebody has them in hand, and which evaluator they wait for.
SELECT candidate_id, generation, attempts, in_hand, evaluator FROM m10_recovery.attempts_made(%(ids)s::bigint[], %(generations)s::int[])
