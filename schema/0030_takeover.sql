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

-- As in 0007 and 0010, but rows are locked in the order in which everybody locks them (docs/states.md): what is freed here may be what others
-- complete, enqueue or begin in the same moment.

CREATE OR REPLACE FUNCTION m10_recovery.release_stalled(p_stalled interval) RETURNS int
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
    WITH stalled AS MATERIALIZED (
        SELECT w.id FROM m10_recovery.work_queue w
        WHERE w.processed_at IS NULL AND w.claimed_at < clock_timestamp() - p_stalled ORDER BY w.candidate_id FOR UPDATE
    ), freed AS (
        UPDATE m10_recovery.work_queue w SET claimed_at = NULL, claimed_by = NULL FROM stalled s WHERE w.id = s.id RETURNING 1
    )
    SELECT count(*)::int FROM freed
$$;

-- p_dead: workers ("host:pid:uuid", with all their children) or single children ("host:pid:uuid/child").
CREATE OR REPLACE FUNCTION m10_recovery.take_over(p_dead text[]) RETURNS TABLE (locks int, events int, works int, evaluations int)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
BEGIN
    DELETE FROM m10_recovery.distributed_locks l WHERE l.holder_id = ANY (p_dead) OR split_part(l.holder_id, '/', 1) = ANY (p_dead);
    GET DIAGNOSTICS locks = ROW_COUNT;
    WITH theirs AS MATERIALIZED (
        SELECT w.id FROM m10_recovery.work_queue w
        WHERE w.processed_at IS NULL AND (w.claimed_by = ANY (p_dead) OR split_part(w.claimed_by, '/', 1) = ANY (p_dead))
        ORDER BY w.candidate_id FOR UPDATE
    )
    UPDATE m10_recovery.work_queue w SET claimed_at = NULL, claimed_by = NULL FROM theirs t WHERE w.id = t.id;
    GET DIAGNOSTICS works = ROW_COUNT;
    WITH theirs AS MATERIALIZED (
        SELECT o.id FROM m10_recovery.outbox o
        WHERE o.processed_at IS NULL AND o.dead_at IS NULL
          AND (o.claimed_by = ANY (p_dead) OR split_part(o.claimed_by, '/', 1) = ANY (p_dead))
        ORDER BY o.id FOR UPDATE
    )
    UPDATE m10_recovery.outbox o SET claimed_at = NULL, claimed_by = NULL, claimed_epoch = NULL FROM theirs t WHERE o.id = t.id;
    GET DIAGNOSTICS events = ROW_COUNT;
    WITH theirs AS MATERIALIZED (
        SELECT k.candidate_id, k.generation FROM m10_recovery.evaluation_claim k
        WHERE k.claimed_by = ANY (p_dead) OR split_part(k.claimed_by, '/', 1) = ANY (p_dead)
        ORDER BY k.candidate_id, k.generation FOR UPDATE
    )
    UPDATE m10_recovery.evaluation_claim k SET claimed_until = '-infinity'
    FROM theirs t WHERE k.candidate_id = t.candidate_id AND k.generation = t.generation;
    GET DIAGNOSTICS evaluations = ROW_COUNT;
    RETURN NEXT;
END
$$;
