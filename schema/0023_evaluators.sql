-- Evaluators that take their time. What waits for one is a row of evaluation_claim that names it: in nobody's hands until a worker of that
-- evaluator takes it, and no business of the sweep, the fallback queue or the stream meanwhile. evaluator NULL: an ordinary taking.
ALTER TABLE m10_recovery.evaluation_claim
    ADD COLUMN evaluator     text,
    ADD COLUMN ask_after     timestamptz NOT NULL DEFAULT '-infinity',
    ADD COLUMN waiting_since timestamptz;
CREATE INDEX ix_claim_waiting ON m10_recovery.evaluation_claim (evaluator, ask_after, candidate_id) WHERE evaluator IS NOT NULL;

-- How far others have come with these generations (NULL: the one that is due): those that nobody has begun are left out. What waits for an
-- evaluator is in no hands here: whoever has a stream entry of it may let go of that.
DROP FUNCTION m10_recovery.attempts_made(bigint[], int[]);
CREATE FUNCTION m10_recovery.attempts_made(p_candidate_ids bigint[], p_generations int[])
RETURNS TABLE (candidate_id bigint, generation int, attempts int, in_hand boolean, evaluator text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
    SELECT n.id, n.generation, k.attempts, k.evaluator IS NULL AND k.claimed_until > clock_timestamp(), k.evaluator
    FROM unnest(p_candidate_ids, p_generations) AS n(id, generation)
    LEFT JOIN public.recovery_candidates c ON c.id = n.id AND n.generation IS NULL
    JOIN m10_recovery.evaluation_claim k ON k.candidate_id = n.id AND k.generation = coalesce(n.generation, c.generation)
$$;

-- Begins an attempt at each generation that is due and that nobody else has in hand: counted at the start, so that a payload that kills
-- its process is counted too. A generation without a row of its candidate is counted as well (its commit may be on its way).
-- p_evaluators: those that the caller's process has; what waits for one of them is left alone, what waits for another begins anew.
DROP FUNCTION m10_recovery.begin_attempts(text, bigint[], int[], interval);
CREATE FUNCTION m10_recovery.begin_attempts(
    p_worker text, p_candidate_ids bigint[], p_generations int[], p_lease interval, p_evaluators text[] DEFAULT '{}')
RETURNS TABLE (candidate_id bigint, generation int, attempts int)
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
    INSERT INTO m10_recovery.evaluation_claim AS k (candidate_id, generation, claimed_by, claimed_until)
    SELECT n.id, n.generation, p_worker, clock_timestamp() + p_lease
    FROM (SELECT DISTINCT * FROM unnest(p_candidate_ids, p_generations)) AS n(id, generation)
    LEFT JOIN public.recovery_candidates c ON c.id = n.id
    WHERE c.id IS NULL OR c.evaluated_generation < n.generation
    ORDER BY n.id, n.generation
    ON CONFLICT (candidate_id, generation) DO UPDATE
    SET attempts = CASE WHEN k.evaluator IS NULL THEN k.attempts + 1 ELSE 1 END, evaluator = NULL,
        claimed_by = p_worker, claimed_until = clock_timestamp() + p_lease
    WHERE k.claimed_until <= clock_timestamp() AND (k.evaluator = ANY (p_evaluators)) IS NOT TRUE
    RETURNING k.candidate_id, k.generation, k.attempts
$$;

-- The fallback queue: claims rows and begins an attempt at what is due of their candidates. A row whose candidate has nothing due, or waits
-- for an evaluator, is done here; one whose candidate somebody else has in hand comes back when that lease has run out, a second one begun
-- before at once.
DROP FUNCTION m10_recovery.claim_fallback(text, int, interval);
CREATE FUNCTION m10_recovery.claim_fallback(p_worker text, p_limit int, p_lease interval, p_evaluators text[] DEFAULT '{}')
RETURNS TABLE (work_id bigint, candidate_id bigint, generation int, attempts int)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
#variable_conflict use_column
DECLARE
    v_work bigint[];
    v_candidates bigint[];
    v_done bigint[];
BEGIN
    SELECT array_agg(w.work_id), array_agg(w.candidate_id) INTO v_work, v_candidates FROM m10_recovery.claim_work(p_worker, p_limit) w;
    IF v_work IS NULL THEN
        RETURN;
    END IF;
    SELECT array_agg(w.id) INTO v_done
    FROM unnest(v_work, v_candidates) AS w(id, candidate_id)
    WHERE NOT EXISTS (SELECT FROM public.recovery_candidates c
                      LEFT JOIN m10_recovery.evaluation_claim k ON k.candidate_id = c.id AND k.generation = c.generation
                      WHERE c.id = w.candidate_id AND c.generation > c.evaluated_generation
                        AND (k.evaluator = ANY (p_evaluators)) IS NOT TRUE);
    PERFORM m10_recovery.complete_works(v_done, true, NULL);
    RETURN QUERY
    WITH due AS MATERIALIZED (
        SELECT w.id AS work_id, c.id, c.generation, s.standing, row_number() OVER (PARTITION BY s.standing ORDER BY w.nth) AS nth
        FROM unnest(v_work, v_candidates) WITH ORDINALITY AS w(id, candidate_id, nth)
        JOIN public.recovery_candidates c ON c.id = w.candidate_id AND c.generation > c.evaluated_generation
        LEFT JOIN m10_recovery.evaluation_claim k ON k.candidate_id = c.id AND k.generation = c.generation,
        LATERAL (SELECT CASE WHEN k.candidate_id IS NULL THEN 'new' WHEN k.claimed_until > clock_timestamp() THEN 'in hand'
                             ELSE 'begun before' END AS standing) s
        WHERE w.id <> ALL (coalesce(v_done, '{}'))
    ), begun AS MATERIALIZED (
        SELECT b.* FROM (SELECT array_agg(d.id) AS ids, array_agg(d.generation) AS generations
                         FROM due d WHERE d.standing = 'new' OR d.standing = 'begun before' AND d.nth = 1) g,
                        LATERAL m10_recovery.begin_attempts(p_worker, g.ids, g.generations, p_lease, p_evaluators) b
    ), put_back AS (
        UPDATE m10_recovery.work_queue w
        SET claimed_at = NULL, claimed_by = NULL,
            process_after = CASE WHEN d.standing = 'begun before' AND d.nth > 1 THEN w.process_after ELSE clock_timestamp() + p_lease END
        FROM due d
        WHERE w.id = d.work_id AND NOT EXISTS (SELECT FROM begun b WHERE b.candidate_id = d.id)
    )
    SELECT d.work_id, b.candidate_id, b.generation, b.attempts FROM begun b JOIN due d ON d.id = b.candidate_id;
END
$$;

-- The sweep: what has been due for longer than p_overdue, is in nobody's hands, and waits for none of the evaluators of this process.
DROP FUNCTION m10_recovery.claim_overdue(text, int, interval, interval);
CREATE FUNCTION m10_recovery.claim_overdue(p_worker text, p_limit int, p_overdue interval, p_lease interval, p_evaluators text[] DEFAULT '{}')
RETURNS TABLE (candidate_id bigint, generation int, attempts int)
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
    WITH overdue AS MATERIALIZED (
        SELECT c.id, c.generation, c.due_at FROM public.recovery_candidates c
        WHERE c.generation > c.evaluated_generation AND c.due_at <= clock_timestamp() - p_overdue
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

-- Has generations that are due wait for evaluators: from here on they are recorded, and no stream entry or fallback row is needed for them.
-- What another has in hand, or has wait already, stays as it is.
CREATE FUNCTION m10_recovery.wait_for_evaluators(p_worker text, p_candidate_ids bigint[], p_generations int[], p_evaluators text[]) RETURNS int
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
    WITH waits AS (
        INSERT INTO m10_recovery.evaluation_claim AS k
            (candidate_id, generation, attempts, claimed_by, claimed_until, evaluator, ask_after, waiting_since)
        SELECT DISTINCT ON (n.id) n.id, n.generation, 0, p_worker, '-infinity'::timestamptz, n.evaluator, clock_timestamp(), clock_timestamp()
        FROM unnest(p_candidate_ids, p_generations, p_evaluators) AS n(id, generation, evaluator)
        JOIN public.recovery_candidates c ON c.id = n.id AND c.generation = n.generation AND c.evaluated_generation < n.generation
        ORDER BY n.id
        ON CONFLICT (candidate_id, generation) DO UPDATE
        SET attempts = 0, claimed_by = p_worker, claimed_until = '-infinity', evaluator = EXCLUDED.evaluator,
            ask_after = EXCLUDED.ask_after, waiting_since = EXCLUDED.waiting_since
        WHERE k.claimed_by = p_worker AND k.claimed_until > clock_timestamp() OR k.evaluator IS NULL AND k.claimed_until <= clock_timestamp()
        RETURNING 1
    )
    SELECT count(*)::int FROM waits
$$;

-- Takes what waits for an evaluator, the longest due first, and counts an attempt at each: many that nobody has begun, or ONE that somebody
-- has, alone. One is suspect that was begun and never came back: it may be what killed its process, and with p_suspects false it is left.
-- What is not due any more is forgotten on the way. waited: since it began to wait for this evaluator.
CREATE FUNCTION m10_recovery.claim_waiting(p_worker text, p_evaluator text, p_limit int, p_suspects boolean, p_lease interval)
RETURNS TABLE (candidate_id bigint, generation int, attempts int, waited interval, suspect boolean)
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
    WITH free AS MATERIALIZED (
        SELECT k.candidate_id, k.generation, k.attempts, k.ask_after, k.attempts > 0 AND k.claimed_by <> '' AS suspect
        FROM m10_recovery.evaluation_claim k
        WHERE k.evaluator = p_evaluator AND k.ask_after <= clock_timestamp() AND k.claimed_until <= clock_timestamp()
          AND (p_suspects OR k.attempts = 0 OR k.claimed_by = '')
        ORDER BY k.ask_after, k.candidate_id
        LIMIT p_limit
        FOR UPDATE SKIP LOCKED
    ), due AS MATERIALIZED (
        SELECT f.*, first_value(f.attempts > 0) OVER w AS alone, row_number() OVER w AS nth
        FROM free f JOIN public.recovery_candidates c
          ON c.id = f.candidate_id AND c.generation = f.generation AND c.evaluated_generation < f.generation
        WINDOW w AS (ORDER BY f.ask_after, f.candidate_id)
    ), over AS (
        DELETE FROM m10_recovery.evaluation_claim k USING free f
        WHERE k.candidate_id = f.candidate_id AND k.generation = f.generation
          AND NOT EXISTS (SELECT FROM due d WHERE d.candidate_id = f.candidate_id AND d.generation = f.generation)
    )
    UPDATE m10_recovery.evaluation_claim k
    SET attempts = k.attempts + 1, claimed_by = p_worker, claimed_until = clock_timestamp() + p_lease
    FROM due d
    WHERE k.candidate_id = d.candidate_id AND k.generation = d.generation AND CASE WHEN d.alone THEN d.nth = 1 ELSE d.attempts = 0 END
    RETURNING k.candidate_id, k.generation, k.attempts, clock_timestamp() - k.waiting_since, d.suspect
$$;

-- Puts back what this worker still has in hand, to be asked again after a delay. p_counted: whether the attempt stays counted.
CREATE FUNCTION m10_recovery.ask_again(
    p_worker text, p_candidate_ids bigint[], p_generations int[], p_delays interval[], p_counted boolean[]) RETURNS int
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
    WITH mine AS MATERIALIZED (
        SELECT k.candidate_id, k.generation, n.delay, n.counted
        FROM m10_recovery.evaluation_claim k
        JOIN unnest(p_candidate_ids, p_generations, p_delays, p_counted) AS n(id, generation, delay, counted)
          ON k.candidate_id = n.id AND k.generation = n.generation
        WHERE k.claimed_by = p_worker AND k.claimed_until > clock_timestamp() AND k.evaluator IS NOT NULL
        ORDER BY k.candidate_id, k.generation
        FOR UPDATE OF k
    ), back AS (
        UPDATE m10_recovery.evaluation_claim k
        SET claimed_by = '', claimed_until = '-infinity', ask_after = clock_timestamp() + m.delay, attempts = k.attempts - (NOT m.counted)::int
        FROM mine m WHERE k.candidate_id = m.candidate_id AND k.generation = m.generation
        RETURNING 1
    )
    SELECT count(*)::int FROM back
$$;

-- As in 0010, and releases claims in the order of begin_attempts, so that the two cannot deadlock.
CREATE OR REPLACE FUNCTION m10_recovery.bury_evaluations(
    p_worker text, p_dl_msg_ids text[], p_candidate_ids bigint[], p_generations int[], p_entry_ids text[], p_payloads jsonb[], p_reasons text[])
RETURNS TABLE (dl_msg_id text)
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
    WITH given AS MATERIALIZED (
        SELECT DISTINCT ON (g.dl_msg_id) g.*
        FROM unnest(p_dl_msg_ids, p_candidate_ids, p_generations, p_entry_ids, p_payloads, p_reasons)
            AS g(dl_msg_id, candidate_id, generation, entry_id, payload, reason)
        ORDER BY g.dl_msg_id
    ), locked AS MATERIALIZED (
        SELECT c.id, c.failure_match_id, c.generation, c.evaluated_generation
        FROM public.recovery_candidates c WHERE c.id IN (SELECT g.candidate_id FROM given g)
        ORDER BY c.failure_match_id, c.error_signature
        FOR UPDATE
    ), mine AS MATERIALIZED (
        SELECT g.*, c.failure_match_id, k.attempts
        FROM given g
        LEFT JOIN locked c ON c.id = g.candidate_id
        LEFT JOIN m10_recovery.evaluation_claim k ON k.candidate_id = g.candidate_id AND k.generation = g.generation
        WHERE (k.claimed_by IS NULL OR k.claimed_by = p_worker OR k.claimed_until <= clock_timestamp())
          AND (g.generation IS NULL OR c.id IS NULL OR c.evaluated_generation < g.generation)
    ), closed AS (
        UPDATE public.recovery_candidates c
        SET evaluated_generation = m.generation, evaluation_error = m.reason, updated_at = now()
        FROM mine m WHERE c.id = m.candidate_id AND c.generation = m.generation AND c.evaluated_generation < m.generation
        RETURNING c.id
    ), proven AS (
        INSERT INTO m10_recovery.suggestion_provenance (suggestion_id, event_type, details, actor, actor_type)
        SELECT c.id, 'evaluation_given_up', jsonb_build_object('generation', m.generation, 'reason', m.reason), p_worker, 'system'
        FROM closed c JOIN mine m ON m.candidate_id = c.id
    ), claims AS MATERIALIZED (
        SELECT k.candidate_id, k.generation
        FROM m10_recovery.evaluation_claim k JOIN mine m ON k.candidate_id = m.candidate_id AND k.generation = m.generation
        ORDER BY k.candidate_id, k.generation FOR UPDATE OF k
    ), released AS (
        DELETE FROM m10_recovery.evaluation_claim k USING claims c WHERE k.candidate_id = c.candidate_id AND k.generation = c.generation
    )
    INSERT INTO m10_recovery.dead_letter_archive
        (dl_msg_id, original_msg_id, candidate_id, failure_match_id, payload, reason, reclaim_count, original_entry_id, archived_by)
    SELECT m.dl_msg_id, coalesce(m.candidate_id || ':' || m.generation, m.entry_id), m.candidate_id, m.failure_match_id, m.payload, m.reason,
           coalesce(m.attempts, 0), m.entry_id, p_worker
    FROM mine m
    ON CONFLICT (dl_msg_id) DO NOTHING
    RETURNING dl_msg_id
$$;
