-- Evaluations. The unit of effect is one generation of a candidate; message_id = '<candidate_id>:<generation>' on every way.

-- Takings of a generation other than its first group delivery: who has it until when, and how often it was begun.
CREATE TABLE m10_recovery.evaluation_claim (
    candidate_id   bigint NOT NULL,
    generation     int NOT NULL,
    attempts       int NOT NULL DEFAULT 1,
    claimed_by     text NOT NULL,
    claimed_until  timestamptz NOT NULL,
    PRIMARY KEY (candidate_id, generation)
);

-- What an evaluator needs to know of these candidates: a row each, with the outcomes of the last 50 closed cases of the same error code
-- as [["action_code", succeeded, age in seconds], …].
CREATE FUNCTION m10_recovery.evaluation_inputs(p_ids bigint[])
RETURNS TABLE (id bigint, generation int, evaluated_generation int, error_code text, error_message text, source text, fingerprint text,
               occurrence_count bigint, since_executed interval, history jsonb)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
    WITH wanted AS MATERIALIZED (
        SELECT c.id, c.generation, c.evaluated_generation, c.error_code, c.error_message, c.source, c.fingerprint, c.occurrence_count,
               clock_timestamp() - c.last_executed_at AS since_executed
        FROM public.recovery_candidates c WHERE c.id = ANY (p_ids)
    ), history AS MATERIALIZED (
        SELECT codes.code, jsonb_agg(jsonb_build_array(a.action_code, past.succeeded, past.age_seconds)) AS history
        FROM (SELECT DISTINCT left(w.error_code, 200) AS code FROM wanted w WHERE w.generation > w.evaluated_generation) codes,
             LATERAL (SELECT p.selected_action_id, p.execution_status = 'succeeded' AS succeeded,
                             extract(epoch FROM clock_timestamp() - p.closed_at)::float8 AS age_seconds
                      FROM public.recovery_candidates p
                      WHERE left(p.error_code, 200) = codes.code AND p.execution_status IN ('succeeded', 'failed') AND isfinite(p.closed_at)
                      ORDER BY p.closed_at DESC LIMIT 50) past
        JOIN m10_recovery.suggestion_action a ON a.id = past.selected_action_id
        GROUP BY codes.code
    )
    SELECT w.*, coalesce(h.history, '[]') FROM wanted w LEFT JOIN history h ON h.code = left(w.error_code, 200)
$$;

-- Begins an attempt at each generation that is due and that nobody else has in hand: counted at the start, so that a payload that kills
-- its process is counted too. A generation without a row of its candidate is counted as well (its commit may be on its way).
CREATE FUNCTION m10_recovery.begin_attempts(p_worker text, p_candidate_ids bigint[], p_generations int[], p_lease interval)
RETURNS TABLE (candidate_id bigint, generation int, attempts int)
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
    INSERT INTO m10_recovery.evaluation_claim AS k (candidate_id, generation, claimed_by, claimed_until)
    SELECT n.id, n.generation, p_worker, clock_timestamp() + p_lease
    FROM (SELECT DISTINCT * FROM unnest(p_candidate_ids, p_generations)) AS n(id, generation)
    LEFT JOIN public.recovery_candidates c ON c.id = n.id
    WHERE c.id IS NULL OR c.evaluated_generation < n.generation
    ORDER BY n.id, n.generation
    ON CONFLICT (candidate_id, generation) DO UPDATE
    SET attempts = k.attempts + 1, claimed_by = p_worker, claimed_until = clock_timestamp() + p_lease
    WHERE k.claimed_until <= clock_timestamp()
    RETURNING k.candidate_id, k.generation, k.attempts
$$;

-- Both ways through the tables take many generations that nobody has begun before, and at most ONE that somebody has: it may be what killed
-- its process, and what is taken together with it would be charged an attempt each time that it kills another.

-- The fallback queue: claims rows and begins an attempt at what is due of their candidates. A row whose candidate has nothing due is done
-- here; one whose candidate somebody else has in hand comes back when that lease has run out, a second one begun before at once.
CREATE FUNCTION m10_recovery.claim_fallback(p_worker text, p_limit int, p_lease interval)
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
    WHERE NOT EXISTS (SELECT FROM public.recovery_candidates c WHERE c.id = w.candidate_id AND c.generation > c.evaluated_generation);
    PERFORM m10_recovery.complete_works(v_done, true, NULL);
    RETURN QUERY
    WITH due AS MATERIALIZED (
        SELECT w.id AS work_id, c.id, c.generation, s.standing, row_number() OVER (PARTITION BY s.standing ORDER BY w.nth) AS nth
        FROM unnest(v_work, v_candidates) WITH ORDINALITY AS w(id, candidate_id, nth)
        JOIN public.recovery_candidates c ON c.id = w.candidate_id AND c.generation > c.evaluated_generation
        LEFT JOIN m10_recovery.evaluation_claim k ON k.candidate_id = c.id AND k.generation = c.generation,
        LATERAL (SELECT CASE WHEN k.candidate_id IS NULL THEN 'new' WHEN k.claimed_until > clock_timestamp() THEN 'in hand'
                             ELSE 'begun before' END AS standing) s
    ), begun AS MATERIALIZED (
        SELECT b.* FROM (SELECT array_agg(d.id) AS ids, array_agg(d.generation) AS generations
                         FROM due d WHERE d.standing = 'new' OR d.standing = 'begun before' AND d.nth = 1) g,
                        LATERAL m10_recovery.begin_attempts(p_worker, g.ids, g.generations, p_lease) b
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

-- The sweep: what has been due for longer than p_overdue and is in nobody's hands. Postgres is the record, a stream entry a hint.
CREATE FUNCTION m10_recovery.claim_overdue(p_worker text, p_limit int, p_overdue interval, p_lease interval)
RETURNS TABLE (candidate_id bigint, generation int, attempts int)
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
    WITH overdue AS MATERIALIZED (
        SELECT c.id, c.generation, c.due_at FROM public.recovery_candidates c
        WHERE c.generation > c.evaluated_generation AND c.due_at <= clock_timestamp() - p_overdue
          AND NOT EXISTS (SELECT FROM m10_recovery.evaluation_claim k
                          WHERE k.candidate_id = c.id AND k.generation = c.generation AND k.claimed_until > clock_timestamp())
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
                    LATERAL m10_recovery.begin_attempts(p_worker, g.ids, g.generations, p_lease) b
$$;

-- The versioned body of a recovery event, from the row as it stands when the decision is written.
CREATE FUNCTION m10_recovery.recovery_event(
    c public.recovery_candidates, p_event_uuid uuid, p_action text, p_template jsonb, p_decided_by text) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
    SELECT jsonb_build_object(
        'version', 1, 'event_id', p_event_uuid, 'execution_id', p_event_uuid, 'candidate_id', c.id, 'generation', c.evaluated_generation,
        'action', p_action, 'template', coalesce(p_template, '{}'),
        'failure', jsonb_build_object('match_id', c.failure_match_id, 'signature', c.error_signature, 'code', c.error_code,
            'message', c.error_message, 'source', c.source, 'fingerprint', c.fingerprint, 'occurrences', c.occurrence_count,
            'first_seen', c.created_at, 'last_seen', c.last_occurrence_at),
        'confidence', c.confidence, 'explain', c.explain, 'decided_by', p_decided_by, 'decided_at', clock_timestamp())
$$;

-- Publishes the action of candidates whose decision was just written, in the caller's transaction.
-- p_actions maps an action to what carries it out: {"code": {"event": "webhook:…", "destination": "NAME", "template": {…}}}.
-- The payload is the one of the event's kind; method and headers of an http event, channel and text of a notice come from the template.
CREATE FUNCTION m10_recovery.publish_actions(p_ids bigint[], p_actions jsonb, p_decided_by text)
RETURNS TABLE (candidate_id bigint, event_id bigint)
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
    INSERT INTO m10_recovery.outbox (aggregate_type, aggregate_id, event_type, payload, event_uuid, destination, candidate_id, round)
    SELECT 'recovery_candidate', c.id::text, m.route ->> 'event',
           CASE split_part(m.route ->> 'event', ':', 1)
               WHEN 'http' THEN jsonb_build_object('method', coalesce(m.route #>> '{template,method}', 'POST'),
                                                   'headers', coalesce(m.route #> '{template,headers}', '{}'), 'body', b.body)
               WHEN 'notify' THEN jsonb_build_object('channel', coalesce(m.route #>> '{template,channel}', 'log'),
                                                     'text', coalesce(m.route #>> '{template,text}', c.suggestion), 'data', b.body)
               ELSE jsonb_build_object('data', b.body) END,
           u.event_uuid, m.route ->> 'destination', c.id, c.round
    FROM unnest(p_ids) AS n(id)
    JOIN public.recovery_candidates c ON c.id = n.id
    JOIN m10_recovery.suggestion_action a ON a.id = c.selected_action_id,
    LATERAL (SELECT p_actions -> a.action_code AS route) m,
    LATERAL (SELECT gen_random_uuid() AS event_uuid WHERE c.id IS NOT NULL) u,
    LATERAL (SELECT m10_recovery.recovery_event(c, u.event_uuid, a.action_code, m.route -> 'template', p_decided_by) AS body) b
    RETURNING candidate_id, id
$$;

-- Writes a batch of evaluations: decision, provenance, replay-log row, outbox event and the claims' end in one transaction. Who comes late
-- (another generation, or one already evaluated) changes nothing and gets no row back.
-- p_execute: the action is to be carried out by itself, if it is known and p_routes says how.
-- message_due: a threshold was passed meanwhile, and this generation is due next.
CREATE FUNCTION m10_recovery.apply_evaluations(
    p_worker text, p_ids bigint[], p_generations int[], p_counts bigint[], p_actions text[], p_confidences real[], p_suggestions text[],
    p_explains text[], p_rules text[], p_execute boolean[], p_durations_ms int[], p_routes jsonb, p_work_ids bigint[])
RETURNS TABLE (candidate_id bigint, generation int, decision text, source text, event_id bigint, message_due int)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
#variable_conflict use_column
DECLARE
    v_ids bigint[];
    v_generations int[];
    v_publish bigint[];
BEGIN
    WITH done AS MATERIALIZED (
        SELECT DISTINCT ON (e.id) e.*
        FROM unnest(p_ids, p_generations, p_counts, p_actions, p_confidences, p_suggestions, p_explains, p_rules, p_execute, p_durations_ms)
            AS e(id, generation, count, action, confidence, suggestion, explain, rules, execute, duration_ms)
        ORDER BY e.id, e.generation DESC
    ), locked AS MATERIALIZED (
        SELECT c.id, c.confidence AS confidence_before, a.id AS action_id,
               coalesce(d.execute AND a.id IS NOT NULL AND p_routes ? d.action AND c.decision = 'pending' AND c.closed_at IS NULL
                        AND coalesce(c.execution_status, 'pending') = 'pending', false) AS publish
        FROM public.recovery_candidates c JOIN done d ON d.id = c.id
        LEFT JOIN m10_recovery.suggestion_action a ON a.action_code = d.action
        WHERE c.generation = d.generation AND c.evaluated_generation < d.generation
        ORDER BY c.failure_match_id, c.error_signature
        FOR UPDATE OF c
    ), written AS (
        UPDATE public.recovery_candidates c
        SET evaluated_generation = d.generation, evaluated_count = d.count, evaluation_error = NULL,
            suggestion = d.suggestion, confidence = d.confidence, selected_action_id = l.action_id, explain = d.explain::jsonb,
            rules_evaluated = d.rules::jsonb, updated_at = now(),
            decision = CASE WHEN l.publish THEN 'approved' ELSE c.decision END,
            approved_at = CASE WHEN l.publish THEN clock_timestamp() ELSE c.approved_at END,
            execution_status = CASE WHEN l.publish THEN 'executing' ELSE c.execution_status END,
            last_executed_at = CASE WHEN l.publish THEN clock_timestamp() ELSE c.last_executed_at END
        FROM locked l JOIN done d ON d.id = l.id
        WHERE c.id = l.id
        RETURNING c.id, d.generation, l.action_id, l.confidence_before, c.confidence, d.duration_ms, l.publish
    ), proven AS (
        INSERT INTO m10_recovery.suggestion_provenance
            (suggestion_id, event_type, details, action_id, confidence_before, confidence_after, actor, actor_type, duration_ms)
        SELECT w.id, CASE WHEN w.publish THEN 'executed' WHEN w.action_id IS NULL THEN 'rule_evaluated' ELSE 'action_selected' END,
               jsonb_build_object('generation', w.generation), w.action_id, w.confidence_before, w.confidence, p_worker, 'system', w.duration_ms
        FROM written w
    ), logged AS (
        INSERT INTO m10_recovery.replay_log (message_id, candidate_id)
        SELECT w.id || ':' || w.generation, w.id FROM written w
        ON CONFLICT (message_id) DO NOTHING
    ), released AS (
        DELETE FROM m10_recovery.evaluation_claim k USING written w WHERE k.candidate_id = w.id AND k.generation <= w.generation
    )
    SELECT array_agg(w.id), array_agg(w.generation), array_agg(w.id) FILTER (WHERE w.publish) INTO v_ids, v_generations, v_publish FROM written w;

    PERFORM m10_recovery.complete_works(p_work_ids, true, NULL) WHERE cardinality(p_work_ids) > 0;
    RETURN QUERY
    SELECT c.id, w.generation, c.decision, c.source, e.event_id, CASE WHEN c.generation > c.evaluated_generation THEN c.generation END
    FROM unnest(v_ids, v_generations) AS w(id, generation)
    JOIN public.recovery_candidates c ON c.id = w.id
    LEFT JOIN m10_recovery.publish_actions(v_publish, p_routes, 'rules') e ON e.candidate_id = c.id;
END
$$;

-- A person's verdict. An approval publishes the action in this transaction. p_generation: the evaluation that the person saw, if they said.
-- outcome: approved, rejected, not_found, evaluation_due, generation_differs, already_decided, no_action, action_has_no_destination.
CREATE FUNCTION m10_recovery.decide_candidate(
    p_candidate_id bigint, p_decision text, p_by text, p_note text, p_generation int, p_routes jsonb)
RETURNS TABLE (outcome text, candidate_id bigint, decision text, execution_status text, evaluated_generation int, event_id bigint, event_type text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
#variable_conflict use_column
DECLARE
    c public.recovery_candidates;
    v_action text;
    v_outcome text;
    v_event bigint;
BEGIN
    IF p_decision IS NULL OR p_decision NOT IN ('approved', 'rejected') THEN
        RAISE EXCEPTION 'decision: expected approved or rejected' USING ERRCODE = '22023';
    END IF;
    SELECT * INTO c FROM public.recovery_candidates r WHERE r.id = p_candidate_id FOR UPDATE;
    SELECT a.action_code INTO v_action FROM m10_recovery.suggestion_action a WHERE a.id = c.selected_action_id;
    v_outcome := CASE
        WHEN c.id IS NULL THEN 'not_found'
        WHEN c.decision <> 'pending' OR c.closed_at IS NOT NULL OR coalesce(c.execution_status, 'pending') <> 'pending' THEN 'already_decided'
        WHEN c.generation > c.evaluated_generation THEN 'evaluation_due'
        WHEN p_generation <> c.evaluated_generation THEN 'generation_differs'
        WHEN p_decision = 'rejected' THEN 'rejected'
        WHEN v_action IS NULL THEN 'no_action'
        WHEN (p_routes ? v_action) IS NOT TRUE THEN 'action_has_no_destination'
        ELSE 'approved' END;
    IF v_outcome IN ('approved', 'rejected') THEN
        UPDATE public.recovery_candidates r
        SET decision = v_outcome, approved_by_human = p_by, approved_at = clock_timestamp(), review_note = p_note, updated_at = now(),
            execution_status = CASE WHEN v_outcome = 'approved' THEN 'executing' END,
            last_executed_at = CASE WHEN v_outcome = 'approved' THEN clock_timestamp() ELSE r.last_executed_at END
        WHERE r.id = p_candidate_id;
        INSERT INTO m10_recovery.suggestion_provenance (suggestion_id, event_type, details, action_id, confidence_after, actor, actor_type)
        VALUES (p_candidate_id, v_outcome, jsonb_build_object('generation', c.evaluated_generation, 'note', p_note), c.selected_action_id,
                c.confidence, p_by, 'human');
    END IF;
    IF v_outcome = 'approved' THEN
        SELECT e.event_id INTO v_event FROM m10_recovery.publish_actions(ARRAY[p_candidate_id], p_routes, p_by) e;
    END IF;
    RETURN QUERY
    SELECT v_outcome, p_candidate_id, r.decision, r.execution_status, r.evaluated_generation, v_event,
           CASE WHEN v_event IS NOT NULL THEN p_routes -> v_action ->> 'event' END
    FROM (SELECT 1) one LEFT JOIN public.recovery_candidates r ON r.id = p_candidate_id;
END
$$;

-- Gives evaluations up: the dead letter of record, and the end of the generation, in one transaction. What was evaluated meanwhile, or is
-- in somebody else's hands, is left alone and gets no row back. p_generations: NULL where an entry named none that can be judged.
CREATE FUNCTION m10_recovery.bury_evaluations(
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
    ), released AS (
        DELETE FROM m10_recovery.evaluation_claim k USING mine m WHERE k.candidate_id = m.candidate_id AND k.generation = m.generation
    )
    INSERT INTO m10_recovery.dead_letter_archive
        (dl_msg_id, original_msg_id, candidate_id, failure_match_id, payload, reason, reclaim_count, original_entry_id, archived_by)
    SELECT m.dl_msg_id, coalesce(m.candidate_id || ':' || m.generation, m.entry_id), m.candidate_id, m.failure_match_id, m.payload, m.reason,
           coalesce(m.attempts, 0), m.entry_id, p_worker
    FROM mine m
    ON CONFLICT (dl_msg_id) DO NOTHING
    RETURNING dl_msg_id
$$;

-- What the dead held is free at once: locks, outbox and fallback claims, evaluations in hand (their attempts stay counted).
-- p_dead: workers ("host:pid:uuid", with all their children) or single children ("host:pid:uuid/child").
CREATE FUNCTION m10_recovery.take_over(p_dead text[]) RETURNS TABLE (locks int, events int, works int, evaluations int)
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
    WITH locks AS (
        DELETE FROM m10_recovery.distributed_locks l
        WHERE l.holder_id = ANY (p_dead) OR split_part(l.holder_id, '/', 1) = ANY (p_dead) RETURNING 1
    ), events AS (
        UPDATE m10_recovery.outbox o SET claimed_at = NULL, claimed_by = NULL, claimed_epoch = NULL
        WHERE o.processed_at IS NULL AND o.dead_at IS NULL
          AND (o.claimed_by = ANY (p_dead) OR split_part(o.claimed_by, '/', 1) = ANY (p_dead)) RETURNING 1
    ), works AS (
        UPDATE m10_recovery.work_queue w SET claimed_at = NULL, claimed_by = NULL
        WHERE w.processed_at IS NULL AND (w.claimed_by = ANY (p_dead) OR split_part(w.claimed_by, '/', 1) = ANY (p_dead)) RETURNING 1
    ), evaluations AS (
        UPDATE m10_recovery.evaluation_claim k SET claimed_until = '-infinity'
        WHERE k.claimed_by = ANY (p_dead) OR split_part(k.claimed_by, '/', 1) = ANY (p_dead) RETURNING 1
    )
    SELECT (SELECT count(*)::int FROM locks), (SELECT count(*)::int FROM events), (SELECT count(*)::int FROM works),
           (SELECT count(*)::int FROM evaluations)
$$;
