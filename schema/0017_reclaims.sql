-- Reclaims: when an entry may be taken from the one who has it, and how a slow evaluator keeps what it has begun.

-- How far others have come with these generations (NULL: the one that is due): those that nobody has begun are left out.
CREATE FUNCTION m10_recovery.attempts_made(p_candidate_ids bigint[], p_generations int[])
RETURNS TABLE (candidate_id bigint, generation int, attempts int, in_hand boolean)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
    SELECT n.id, n.generation, k.attempts, k.claimed_until > clock_timestamp()
    FROM unnest(p_candidate_ids, p_generations) AS n(id, generation)
    LEFT JOIN public.recovery_candidates c ON c.id = n.id AND n.generation IS NULL
    JOIN m10_recovery.evaluation_claim k ON k.candidate_id = n.id AND k.generation = coalesce(n.generation, c.generation)
$$;

-- Prolongs the attempts that this worker has begun and that are still its own; how many.
CREATE FUNCTION m10_recovery.renew_attempts(p_worker text, p_candidate_ids bigint[], p_generations int[], p_lease interval) RETURNS int
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
    WITH mine AS MATERIALIZED (
        SELECT k.candidate_id, k.generation
        FROM m10_recovery.evaluation_claim k
        JOIN unnest(p_candidate_ids, p_generations) AS n(id, generation) ON k.candidate_id = n.id AND k.generation = n.generation
        WHERE k.claimed_by = p_worker AND k.claimed_until > clock_timestamp()
        ORDER BY k.candidate_id, k.generation
        FOR UPDATE OF k
    ), renewed AS (
        UPDATE m10_recovery.evaluation_claim k SET claimed_until = clock_timestamp() + p_lease
        FROM mine m WHERE k.candidate_id = m.candidate_id AND k.generation = m.generation
        RETURNING 1
    )
    SELECT count(*)::int FROM renewed
$$;
