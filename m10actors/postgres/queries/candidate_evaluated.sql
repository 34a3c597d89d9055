-- Whether the candidates of a match id are there and none of them has an evaluation due (operations role).
SELECT coalesce(bool_and(generation = evaluated_generation), false)
FROM public.recovery_candidates WHERE failure_match_id = %(match_id)s::uuid
