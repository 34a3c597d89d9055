-- Candidates that were evaluated beyond their generation (operations role).
SELECT c.id::text FROM public.recovery_candidates c WHERE c.evaluated_generation > c.generation LIMIT %(limit)s
