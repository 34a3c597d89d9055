-- The sweep: what has been due for longer than p_overdue, is in nobody's hands, and waits for none of the evaluators of this process.
-- p_told: candidates of which entries of the stream are known to tell. They are left to those, until they have been due for p_told_overdue.
DROP FUNCTION m10_recovery.claim_overdue(text, int, interval, interval, text[]);
CREATE FUNCTION m10_recovery.claim_overdue(
    p_worker text, p_limit int, p_overdue interval, p_lease interval, p_evaluators text[] DEFAULT '{}',
    p_told bigint[] DEFAULT '{}', p_told_overdue interval DEFAULT '1 hour')
RETURNS TABLE (candidate_id bigint, generation int, attempts int)
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
    WITH overdue AS MATERIALIZED (
        SELECT c.id, c.generation, c.due_at FROM public.recovery_candidates c
        WHERE c.generation > c.evaluated_generation AND c.due_at <= clock_timestamp() - p_overdue
          AND (c.id <> ALL (p_told) OR c.due_at <= clock_timestamp() - p_told_overdue)
          AND NOT EXISTS (SELECT FROM m10_recovery.evaluation_claim k
                          WHERE k.candidate_id = c.id AND k.generation = c.generation
                            AND (k.claimed_until > clock_timestamp() OR k.evaluator = ANY (p_evaluators)))
        ORDER BY c.due_at, c.id
        LIMIT p_limit
        FOR UPDATE OF c SKIP LOCKED
    ), ranked AS (
        SELECT o.*, k.candidate_id IS NOT NULL AS begun_before,
               row_number() OVER (PARTITION BY k.candidate_id IS NULL ORDER BY o.due_at, o.id) AS nth
        FROM overdue o LEFT JOIN m10_recovery.evaluation_claim k ON k.candidate_id = o.id AND k.generation = o.generation
    )
    SELECT b.* FROM (SELECT array_agg(r.id) AS ids, array_agg(r.generation) AS generations
                     FROM ranked r WHERE NOT r.begun_before OR r.nth = 1) g,
                    LATERAL m10_recovery.begin_attempts(p_worker, g.ids, g.generations, p_lease, p_evaluators) b
$$;
