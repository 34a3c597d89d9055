-- How often generations were begun, and whether somebody has them in hand.
SELECT candidate_id, generation, attempts, in_hand FROM m10_recovery.attempts_made(%(ids)s::bigint[], %(generations)s::int[])
