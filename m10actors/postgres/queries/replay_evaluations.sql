-- Makes the candidates of dead evaluations due once more, as (candidate_id, generation) (operations role).
UPDATE public.recovery_candidates c
SET generation = c.generation + 1, due_at = clock_timestamp(), evaluation_error = NULL, updated_at = now()
WHERE c.id IN (SELECT d.candidate_id FROM m10_recovery.dead_letter_archive d WHERE d.id = ANY (%(dead_letters)s) AND d.event_id IS NULL)
  AND c.generation = c.evaluated_generation AND c.evaluation_error IS NOT NULL
RETURNING c.id, c.generation
