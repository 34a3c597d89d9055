-- A plan is made by what PostgreSQL knows of a table at that moment: all but empty, or, where autovacuum came by before a bulk was committed, pages
-- and no rows. It is kept until somebody analyzes the table, and reads all of it meanwhile, for each batch or for each row of one.

-- These are called once for a batch, aside from the way of a message through the stream, and planned for what is there.
DO $$
DECLARE
    v_function regprocedure;
BEGIN
    FOR v_function IN
        SELECT p.oid FROM pg_proc p
        WHERE p.pronamespace = 'm10_recovery'::regnamespace
          AND p.proname IN ('ask_again', 'attempts_made', 'begin_attempts', 'bury_evaluations', 'claim_fallback', 'claim_overdue', 'claim_waiting',
                            'claim_work', 'complete_works', 'enqueue_works', 'renew_attempts', 'wait_for_evaluators')
    LOOP
        EXECUTE format('ALTER FUNCTION %s SET plan_cache_mode = force_custom_plan SET jit = off', v_function);
    END LOOP;
END
$$;

-- What a message goes through keeps its plans, and finds by key what it has the key of: = ANY (ARRAY[key]) can be asked of an index alone, neither
-- by a hash nor along an order of the whole table.

-- As in 0028, but for that.
CREATE OR REPLACE FUNCTION m10_recovery.upsert_candidates(
    p_match_ids uuid[], p_signatures text[], p_counts bigint[], p_suggestions text[], p_confidences real[], p_explains jsonb[],
    p_codes text[], p_messages text[], p_sources text[], p_fingerprints text[], p_created_by text)
RETURNS TABLE (id bigint, failure_match_id uuid, error_signature text, is_insert boolean, occurrence_count bigint, generation int, became_due boolean)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, m10_recovery, pg_temp SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET enable_material = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
    v_written int;
BEGIN
    PERFORM set_config('m10_recovery.rates', CASE WHEN s.rate_windows = '{}' THEN 'none' ELSE '' END, true) FROM m10_recovery.settings s;
    RETURN QUERY
    WITH known AS MATERIALIZED (
        SELECT s.*, c.id
        FROM unnest(p_match_ids, p_signatures, p_counts, p_suggestions, p_confidences, p_explains, p_codes, p_messages, p_sources,
                    p_fingerprints)
            AS s(match_id, signature, count, suggestion, confidence, explain, code, message, source, fingerprint)
        LEFT JOIN public.recovery_candidates c ON c.failure_match_id = ANY (ARRAY[s.match_id]) AND c.error_signature = s.signature
    ), written AS (
        INSERT INTO public.recovery_candidates AS c
            (id, failure_match_id, error_signature, occurrence_count, suggestion, confidence, explain, error_code, error_message, source,
             fingerprint, created_by)
        SELECT coalesce(-k.id, nextval('public.recovery_candidates_id_seq')), k.match_id, k.signature, k.count, coalesce(k.suggestion, ''),
               coalesce(k.confidence, 0), coalesce(k.explain, '{}'), k.code, k.message, k.source, k.fingerprint, p_created_by
        FROM known k
        ORDER BY k.match_id, k.signature
        ON CONFLICT (failure_match_id, error_signature) DO UPDATE
        SET occurrence_count = c.occurrence_count + least(EXCLUDED.occurrence_count, 9223372036854775807 - c.occurrence_count),
            last_occurrence_at = now(), updated_at = clock_timestamp()
        -- What this very statement made due: the trigger that does so reads the clock after updated_at was set.
        RETURNING c.id, c.failure_match_id, c.error_signature, c.xmax = 0 AS is_insert, c.occurrence_count, c.generation,
                  c.generation > c.evaluated_generation AND (c.xmax = 0 OR c.due_at >= c.updated_at) AS became_due
    )
    SELECT w.* FROM written w WHERE NOT w.is_insert OR w.id > 0;
    GET DIAGNOSTICS v_written = ROW_COUNT;
    IF v_written < cardinality(p_match_ids) THEN  -- a known one was gone when its turn came: no id is given a second time
        RAISE EXCEPTION 'a candidate was archived in the same moment' USING ERRCODE = 'serialization_failure', HINT = 'Try again.';
    END IF;
END
$$;

-- As in 0027, but for that.
CREATE OR REPLACE FUNCTION m10_recovery.admissible_executions(
    p_candidate_ids bigint[], p_actions text[], p_sources text[], p_limits jsonb, p_exact boolean)
RETURNS TABLE (candidate_id bigint, link int, refused text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, m10_recovery, pg_temp
SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
    v_links int[];
    v_refused text[];
    v_rooms jsonb;    -- of what has less room than is asked of it: {"kind name": room}
    v_key text;
BEGIN
    IF p_exact THEN
        PERFORM pg_advisory_xact_lock(hashtextextended('m10_recovery.admit_executions', 0));
    END IF;
    IF m10_recovery.actions_stopped() THEN
        RETURN QUERY SELECT i.id, 1, 'stopped' FROM unnest(p_candidate_ids) AS i(id);
        RETURN;
    END IF;
    SELECT array_agg(n.links + 1 ORDER BY i.nth), array_agg(CASE
               WHEN n.links >= s.attempt_budget THEN format('budget_spent: %s of %s attempts of this round were made', n.links, s.attempt_budget)
               WHEN n.lately >= (p_limits ->> 'candidate')::bigint THEN
                   format('capped: %s an hour for candidate %s', p_limits ->> 'candidate', i.id) END ORDER BY i.nth)
    INTO v_links, v_refused
    FROM m10_recovery.settings s, unnest(p_candidate_ids) WITH ORDINALITY AS i(id, nth)
    JOIN public.recovery_candidates c ON c.id = ANY (ARRAY[i.id]),
    LATERAL (SELECT count(*) FILTER (WHERE x.round = c.round)::int AS links,
                    count(*) FILTER (WHERE x.by_itself AND x.begun_at > clock_timestamp() - interval '1 hour') AS lately
             FROM m10_recovery.execution x WHERE x.candidate_id = c.id) n;
    SELECT jsonb_object_agg(r.kind || ' ' || r.name, greatest(r.room, 0)) INTO v_rooms
    FROM (SELECT array_agg(w.action) AS actions, array_agg(w.source) AS sources
          FROM unnest(p_actions, p_sources, v_refused) AS w(action, source, refused) WHERE w.refused IS NULL) g,
         m10_recovery.admission_rooms(g.actions, g.sources, p_limits) r
    WHERE r.room < r.asked;
    IF v_rooms IS NOT NULL THEN  -- then it is decided one after the other
        FOR v_nth IN 1..cardinality(p_candidate_ids) LOOP
            CONTINUE WHEN v_refused[v_nth] IS NOT NULL;
            FOREACH v_key IN ARRAY ARRAY['source ' || coalesce(left(p_sources[v_nth], 200), ''), 'action ' || p_actions[v_nth], 'total '] LOOP
                IF v_refused[v_nth] IS NULL AND (v_rooms ->> v_key)::bigint <= 0 THEN
                    v_refused[v_nth] := format('capped: %s an hour for %s', p_limits ->> split_part(v_key, ' ', 1),
                                               CASE v_key WHEN 'total ' THEN 'all' ELSE v_key END);
                END IF;
            END LOOP;
            CONTINUE WHEN v_refused[v_nth] IS NOT NULL;
            FOREACH v_key IN ARRAY ARRAY['source ' || coalesce(left(p_sources[v_nth], 200), ''), 'action ' || p_actions[v_nth], 'total '] LOOP
                IF v_rooms ? v_key THEN
                    v_rooms := v_rooms || jsonb_build_object(v_key, (v_rooms ->> v_key)::bigint - 1);
                END IF;
            END LOOP;
        END LOOP;
    END IF;
    RETURN QUERY SELECT i.id, i.link, i.refused FROM unnest(p_candidate_ids, v_links, v_refused) AS i(id, link, refused);
END
$$;

CREATE OR REPLACE FUNCTION m10_recovery.publish_routes(
    p_ids bigint[], p_routes jsonb[], p_decided_by text, p_by_itself boolean, p_links int[] DEFAULT NULL)
RETURNS TABLE (candidate_id bigint, event_id bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, m10_recovery, pg_temp
SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
    v_now timestamptz := clock_timestamp();
BEGIN
    RETURN QUERY
    WITH chosen AS MATERIALIZED (
        SELECT c.*, n.route, coalesce(p_decided_by, c.explain ->> 'evaluator', 'rules') AS decided_by, a.action_code,
               gen_random_uuid() AS event_uuid,
               coalesce(n.link, 1 + (SELECT count(*) FROM m10_recovery.execution x WHERE x.candidate_id = c.id AND x.round = c.round)) AS link
        FROM unnest(p_ids, p_links, p_routes) AS n(id, link, route)
        JOIN public.recovery_candidates c ON c.id = ANY (ARRAY[n.id])
        JOIN m10_recovery.suggestion_action a ON a.id = c.selected_action_id
    ), begun AS (
        INSERT INTO m10_recovery.execution
            (execution_id, candidate_id, round, generation, link, action_id, error_code, fingerprint, source, begun_by, follows, by_itself)
        SELECT c.event_uuid, c.id, c.round, c.evaluated_generation, c.link, c.selected_action_id, c.error_code, c.fingerprint, c.source,
               c.decided_by, c.route -> 'follows', p_by_itself
        FROM chosen c
    )
    INSERT INTO m10_recovery.outbox
        (aggregate_type, aggregate_id, event_type, payload, event_uuid, destination, candidate_id, round, by_itself)
    SELECT 'recovery_candidate', c.id::text, c.route ->> 'event',
           CASE split_part(c.route ->> 'event', ':', 1)
               WHEN 'http' THEN jsonb_build_object('method', coalesce(c.route #>> '{template,method}', 'POST'),
                                                   'headers', coalesce(c.route #> '{template,headers}', '{}'), 'body', b.body)
               WHEN 'notify' THEN jsonb_build_object('channel', coalesce(c.route #>> '{template,channel}', 'log'),
                                                     'text', coalesce(c.route #>> '{template,text}', c.suggestion), 'data', b.body)
               ELSE jsonb_build_object('data', b.body) END,
           c.event_uuid, c.route ->> 'destination', c.id, c.round, p_by_itself
    FROM chosen c,
    LATERAL (SELECT jsonb_build_object(
        'version', 1, 'event_id', c.event_uuid, 'execution_id', c.event_uuid, 'candidate_id', c.id, 'generation', c.evaluated_generation,
        'action', c.action_code, 'template', coalesce(c.route -> 'template', '{}'),
        'failure', jsonb_build_object('match_id', c.failure_match_id, 'signature', c.error_signature, 'code', c.error_code,
            'message', c.error_message, 'source', c.source, 'fingerprint', c.fingerprint, 'occurrences', c.occurrence_count,
            'first_seen', c.created_at, 'last_seen', c.last_occurrence_at),
        'confidence', c.confidence, 'explain', c.explain, 'decided_by', c.decided_by, 'decided_at', v_now) AS body) b
    RETURNING candidate_id, id;
END
$$;

CREATE OR REPLACE FUNCTION m10_recovery.apply_evaluations(
    p_worker text, p_ids bigint[], p_generations int[], p_counts bigint[], p_actions text[], p_confidences real[], p_suggestions text[],
    p_explains text[], p_rules text[], p_records text[], p_execute boolean[], p_durations_ms int[], p_contexts jsonb, p_routes jsonb,
    p_limits jsonb, p_work_ids bigint[])
RETURNS SETOF m10_recovery.applied_evaluation
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, m10_recovery, pg_temp
SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
    v_applied m10_recovery.applied_evaluation[];
    v_exact boolean := false;
BEGIN
    -- Whatever others may have is locked before the caps are judged or counted: who has the lock of the admissions waits for nobody.
    INSERT INTO m10_recovery.decision_context (digest, content)
    SELECT n.key, n.value FROM jsonb_each(p_contexts) n ORDER BY n.key ON CONFLICT (digest) DO NOTHING;
    PERFORM m10_recovery.complete_works(p_work_ids, true, NULL) WHERE cardinality(p_work_ids) > 0;
    LOOP
        BEGIN
            WITH given AS MATERIALIZED (
                SELECT DISTINCT ON (e.id) e.*
                FROM unnest(p_ids, p_generations, p_counts, p_actions, p_confidences, p_suggestions, p_explains, p_rules, p_records,
                            p_execute, p_durations_ms)
                    AS e(id, generation, count, action, sure, suggestion, explain, rules, record, execute, duration_ms)
                ORDER BY e.id, e.generation DESC
            ), locked AS MATERIALIZED (
                SELECT g.*, a.id AS action_id, c.source, c.selected_action_id AS action_before, c.confidence AS confidence_before,
                       c.evaluated_count > 0 AS was_evaluated,
                       g.execute AND a.id IS NOT NULL AND p_routes ? g.action AND c.decision = 'pending' AND c.closed_at IS NULL
                       AND coalesce(c.execution_status, 'pending') = 'pending' AS wanted
                FROM given g JOIN public.recovery_candidates c ON c.id = ANY (ARRAY[g.id])
                LEFT JOIN m10_recovery.suggestion_action a ON a.action_code = g.action
                WHERE c.generation = g.generation AND c.evaluated_generation < g.generation
                ORDER BY uuid_send(c.failure_match_id), c.error_signature  -- in the order of uuids
                FOR NO KEY UPDATE OF c
            ), claims AS MATERIALIZED (  -- in the order of begin_attempts
                SELECT k.candidate_id, k.generation
                FROM m10_recovery.evaluation_claim k JOIN locked l ON k.candidate_id = l.id AND k.generation <= l.generation
                ORDER BY k.candidate_id, k.generation FOR UPDATE OF k
            ), admissible AS MATERIALIZED (  -- once the claims are locked too
                SELECT m.*
                FROM (SELECT array_agg(l.id) AS ids, array_agg(l.action) AS actions, array_agg(l.source) AS sources
                      FROM locked l WHERE l.wanted HAVING count(*) > 0 AND (SELECT count(*) FROM claims) >= 0) w,
                     m10_recovery.admissible_executions(w.ids, w.actions, w.sources, p_limits, v_exact) m
            ), judged AS MATERIALIZED (
                SELECT l.*, m.link, m.refused, l.wanted AND m.refused IS NULL AS publish
                FROM locked l LEFT JOIN admissible m ON m.candidate_id = l.id
            ), written AS (
                UPDATE public.recovery_candidates c
                SET evaluated_generation = j.generation, evaluated_count = j.count, evaluation_error = NULL, confidence = j.sure,
                    -- The sentence of recovery/wording.py that does not hold then.
                    suggestion = CASE WHEN j.refused IS NULL THEN j.suggestion
                                      ELSE replace(j.suggestion, 'It is carried out now.', 'Not by itself, ' || j.refused || '.') END,
                    explain = CASE WHEN j.refused IS NULL THEN j.explain::jsonb
                                   ELSE j.explain::jsonb || jsonb_build_object('execute', false, 'reason', split_part(j.refused, ':', 1)) END,
                    selected_action_id = j.action_id, rules_evaluated = j.rules::jsonb, updated_at = now(),
                    decision = CASE WHEN j.publish THEN 'approved' ELSE c.decision END,
                    approved_at = CASE WHEN j.publish THEN clock_timestamp() ELSE c.approved_at END,
                    execution_status = CASE WHEN j.publish THEN 'executing' ELSE c.execution_status END,
                    last_executed_at = CASE WHEN j.publish THEN clock_timestamp() ELSE c.last_executed_at END
                FROM judged j
                WHERE c.id = ANY (ARRAY[j.id])
                RETURNING j.*, c.decision, CASE WHEN c.generation > c.evaluated_generation THEN c.generation END AS message_due
            ), proven AS (
                INSERT INTO m10_recovery.suggestion_provenance
                    (suggestion_id, event_type, details, action_id, confidence_before, confidence_after, actor, actor_type, duration_ms)
                SELECT w.id, step.event_type,
                       CASE WHEN w.refused IS NULL THEN step.details ELSE step.details || jsonb_build_object('refused', w.refused) END,
                       w.action_id, w.confidence_before, w.sure, p_worker, 'system', w.duration_ms
                FROM written w, LATERAL (SELECT jsonb_build_object('generation', w.generation) AS short) d,
                LATERAL (VALUES ('rule_evaluated', w.record::jsonb, true),
                                ('action_selected', d.short, w.action_id IS NOT NULL AND w.action_id IS DISTINCT FROM w.action_before),
                                ('confidence_updated', d.short, w.was_evaluated AND w.sure <> w.confidence_before),
                                ('executed', d.short, w.publish)) AS step(event_type, details, taken)
                WHERE step.taken AND w.record IS NOT NULL
            ), logged AS (
                INSERT INTO m10_recovery.replay_log (message_id, candidate_id)
                SELECT w.id || ':' || w.generation, w.id FROM written w
                ON CONFLICT (message_id) DO NOTHING
            ), ended AS (
                DELETE FROM m10_recovery.evaluation_claim k USING claims c
                WHERE k.candidate_id = c.candidate_id AND k.generation = c.generation
            ), published AS MATERIALIZED (
                SELECT p.*
                FROM (SELECT array_agg(w.id) AS ids, array_agg(w.link) AS links, array_agg(p_routes -> w.action) AS routes
                      FROM written w WHERE w.publish HAVING count(*) > 0) w,
                     m10_recovery.publish_routes(w.ids, w.routes, NULL, true, w.links) p
            )
            SELECT array_agg(ROW(w.id, w.generation, w.decision, w.source, p.event_id, w.message_due, w.refused,
                                 CASE WHEN w.publish THEN w.action END)::m10_recovery.applied_evaluation)
            INTO v_applied
            FROM written w LEFT JOIN published p ON p.candidate_id = w.id;
            EXIT WHEN m10_recovery.count_admissions(ARRAY(SELECT a.begun FROM unnest(v_applied) a WHERE a.begun IS NOT NULL),
                                                    ARRAY(SELECT a.source FROM unnest(v_applied) a WHERE a.begun IS NOT NULL), p_limits);
            RAISE EXCEPTION 'others have begun too many executions meanwhile' USING ERRCODE = 'M1005';
        EXCEPTION WHEN SQLSTATE 'M1005' THEN
            v_exact := true;
        END;
    END LOOP;
    RETURN QUERY SELECT * FROM unnest(v_applied);
END
$$;

-- As in 0022, but for that.
CREATE OR REPLACE FUNCTION m10_recovery.claim_open_events(p_processor text, p_epoch bigint, p_limit int, p_held text[] DEFAULT NULL)
RETURNS TABLE (id bigint, aggregate_type text, aggregate_id text, event_type text, payload jsonb, retry_count int, event_uuid uuid, destination text,
               by_itself boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, m10_recovery, pg_temp
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off SET enable_incremental_sort = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
    v_now timestamptz := clock_timestamp();
    v_stale timestamptz := v_now - (SELECT s.claim_takeover FROM m10_recovery.settings s);
    v_old timestamptz := v_now - (SELECT s.event_max_age FROM m10_recovery.settings s);
    v_stopped boolean := m10_recovery.actions_stopped();
    v_room int := p_limit;
    v_look int := p_limit;
    v_first bigint[];
    v_later bigint[];
    v_behind bigint[];
    v_count int;
BEGIN
    IF p_limit IS NULL OR p_limit < 0 THEN
        RAISE EXCEPTION 'limit: expected 0 or more, got %', p_limit USING ERRCODE = '2201W';
    END IF;
    WHILE v_room > 0 LOOP
        WITH RECURSIVE names AS (
            SELECT min(coalesce(o.destination, '')) AS name FROM m10_recovery.outbox o
            WHERE o.processed_at IS NULL AND o.dead_at IS NULL AND o.waits_behind IS NULL
            UNION ALL
            SELECT (SELECT min(coalesce(o.destination, '')) FROM m10_recovery.outbox o
                    WHERE o.processed_at IS NULL AND o.dead_at IS NULL AND o.waits_behind IS NULL AND coalesce(o.destination, '') > n.name)
            FROM names n WHERE n.name IS NOT NULL
        ), due AS MATERIALIZED (
            SELECT d.*, row_number() OVER (PARTITION BY n.name ORDER BY d.process_after, d.id) AS nth
            FROM names n CROSS JOIN LATERAL (
                SELECT o.id, o.aggregate_type, o.aggregate_id, o.process_after FROM m10_recovery.outbox o
                WHERE o.processed_at IS NULL AND o.dead_at IS NULL AND o.waits_behind IS NULL AND coalesce(o.destination, '') = n.name
                  AND o.process_after <= CASE WHEN n.name = ANY (p_held) THEN v_old ELSE v_now END
                  AND (o.claimed_at IS NULL OR o.claimed_epoch < p_epoch OR o.claimed_at < v_stale)
                  AND NOT (v_stopped AND o.by_itself AND o.resent_at IS NULL)
                ORDER BY o.process_after, o.id
                LIMIT v_look
                FOR UPDATE SKIP LOCKED) d
            WHERE NOT EXISTS (SELECT FROM m10_recovery.paused_destination p WHERE p.name = n.name)
        ), judged AS (
            SELECT d.id, d.nth, d.process_after, b.id AS behind
            FROM due d LEFT JOIN LATERAL (
                -- The row before it in ix_outbox_order, whatever its aggregate: with an equality here the planner would see no need of that
                -- order and walk the primary key backwards, and where sorts are allowed it may read another index as a whole.
                SELECT e.id, e.aggregate_type, e.aggregate_id FROM m10_recovery.outbox e
                WHERE (e.aggregate_type, e.aggregate_id, e.id) < (d.aggregate_type, d.aggregate_id, d.id)
                  AND e.processed_at IS NULL AND e.dead_at IS NULL
                ORDER BY e.aggregate_type DESC, e.aggregate_id DESC, e.id DESC LIMIT 1) b
                ON b.aggregate_type = d.aggregate_type AND b.aggregate_id = d.aggregate_id
        )
        SELECT array_agg(j.id ORDER BY j.nth, j.process_after, j.id) FILTER (WHERE j.behind IS NULL),
               array_agg(j.id) FILTER (WHERE j.behind IS NOT NULL), array_agg(j.behind) FILTER (WHERE j.behind IS NOT NULL)
        INTO v_first, v_later, v_behind
        FROM judged j;
        v_first := v_first[1:v_room];
        RETURN QUERY
        WITH claimed AS (
            UPDATE m10_recovery.outbox o SET claimed_at = v_now, claimed_by = p_processor, claimed_epoch = p_epoch
            FROM unnest(v_first) WITH ORDINALITY AS f(id, nth)
            WHERE o.id = ANY (ARRAY[f.id])
            RETURNING o.*, f.nth
        )
        SELECT c.id, c.aggregate_type, c.aggregate_id, c.event_type, c.payload, c.retry_count, c.event_uuid, c.destination,
               c.by_itself AND c.resent_at IS NULL
        FROM claimed c ORDER BY c.nth;
        GET DIAGNOSTICS v_count = ROW_COUNT;
        v_room := v_room - v_count;
        EXIT WHEN v_later IS NULL OR m10_recovery.set_aside(v_later, v_behind) = 0 OR clock_timestamp() > v_now + interval '250 ms';
        v_look := least(v_look * 4, 1000);
    END LOOP;
END
$$;

-- As in 0021, but for that.
CREATE OR REPLACE FUNCTION m10_recovery.settle_events(
    p_processor text, p_epoch bigint, p_ids bigint[], p_outcomes text[], p_errors text[], p_delays interval[], p_results jsonb[],
    p_attempts jsonb[] DEFAULT NULL)
RETURNS TABLE (event_id bigint, state text, event_type text, aggregate_type text, candidate_id bigint, message_due int, execution text,
               next_event_type text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, m10_recovery, pg_temp
SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
    s m10_recovery.settings;
    v_now timestamptz := clock_timestamp();
    v_events bigint[];
    v_states text[];
    v_uuids uuid[];       -- of the executions that these events end
    v_statuses text[];
    v_ended_by text[];
    v_details jsonb[];
BEGIN
    SELECT * INTO s FROM m10_recovery.settings;
    WITH told AS MATERIALIZED (
        SELECT DISTINCT ON (t.id) t.*
        FROM unnest(p_ids, p_outcomes, p_errors, p_delays, p_results, p_attempts) AS t(id, outcome, error, delay, result, attempt) ORDER BY t.id
    ), claimed AS MATERIALIZED (
        SELECT o.id, CASE
                   WHEN t.outcome IN ('delivered', 'running') THEN 'done'
                   WHEN t.outcome IN ('dead', 'gone') THEN 'dead'
                   WHEN t.outcome = 'failed' AND o.retry_count >= s.max_retries THEN 'dead'
                   WHEN t.outcome IN ('unreachable', 'cut_off') AND coalesce(o.resent_at, o.created_at) < v_now - s.event_max_age THEN 'dead'
                   ELSE 'retry' END AS state
        -- By its id alone, one after the other in their order: with the predicates inside, the planner may read a partial index as a whole.
        FROM told t, LATERAL (SELECT e.* FROM m10_recovery.outbox e WHERE e.id = t.id OFFSET 0 FOR UPDATE) o
        WHERE o.claimed_by = p_processor AND o.claimed_epoch IS NOT DISTINCT FROM p_epoch AND o.processed_at IS NULL AND o.dead_at IS NULL
    ), settled AS (
        UPDATE m10_recovery.outbox o
        SET claimed_at = NULL, claimed_by = NULL, claimed_epoch = NULL,
            processed_at = CASE WHEN c.state = 'done' THEN v_now END,
            processed_by = CASE WHEN c.state = 'done' THEN p_processor END,
            dead_at = CASE WHEN c.state = 'dead' THEN v_now END,
            last_error = CASE WHEN c.state = 'done' OR t.outcome = 'held' OR t.outcome = 'cut_off' AND c.state = 'retry' THEN o.last_error
                              ELSE left(t.error, 2000) END,
            retry_count = least(o.retry_count, 1000000) + CASE WHEN t.outcome = 'failed' THEN 1 ELSE 0 END,
            unreachable_count = least(o.unreachable_count, 1000000) + CASE WHEN t.outcome = 'unreachable' THEN 1 ELSE 0 END,
            attempts = CASE WHEN t.outcome IN ('held', 'cut_off') THEN o.attempts ELSE
                CASE WHEN jsonb_array_length(o.attempts) >= 20 THEN o.attempts - 0 ELSE o.attempts END || jsonb_build_array(
                jsonb_strip_nulls(jsonb_build_object(
                    'number', coalesce((o.attempts #>> '{-1,number}')::int, 0) + 1, 'at', m10_recovery.readable(v_now), 'outcome', t.outcome,
                    'error', left(t.error, 500))) || coalesce(t.attempt, '{}')) END,
            process_after = CASE
                WHEN c.state <> 'retry' THEN o.process_after
                WHEN t.delay IS NOT NULL THEN v_now + t.delay
                WHEN t.outcome = 'unreachable' THEN v_now + least(interval '5 min', interval '2 s' * power(2, least(greatest(o.unreachable_count, 0), 10)))
                ELSE v_now + s.retry_schedule[least(greatest(o.retry_count, 0) + 1, cardinality(s.retry_schedule))]
                           * (1 + s.retry_jitter * (2 * random() - 1)) END
        FROM claimed c JOIN told t ON t.id = c.id
        WHERE o.id = ANY (ARRAY[c.id])
        RETURNING o.id, o.event_uuid, c.state, t.outcome, o.event_type, o.aggregate_type, o.aggregate_id, o.candidate_id, o.round, o.last_error, o.retry_count,
                  o.payload, o.destination, o.attempts, t.result
    ), buried AS (
        INSERT INTO m10_recovery.dead_letter_archive (dl_msg_id, original_msg_id, candidate_id, payload, reason, reclaim_count, event_id, archived_by, attempts)
        SELECT gen_random_uuid()::text, 'outbox:' || e.id, e.candidate_id, e.payload, e.last_error, e.retry_count, e.id, p_processor, e.attempts
        FROM settled e WHERE e.state = 'dead'
    ), paused AS (
        INSERT INTO m10_recovery.paused_destination (name, reason)
        SELECT DISTINCT ON (e.destination) e.destination, e.last_error FROM settled e WHERE e.outcome = 'gone' AND e.destination IS NOT NULL
        ORDER BY e.destination, e.id
        ON CONFLICT (name) DO NOTHING
    )
    SELECT array_agg(e.id), array_agg(e.state), array_agg(e.event_uuid) FILTER (WHERE e.ends),
           array_agg(CASE e.state WHEN 'done' THEN 'succeeded' ELSE 'failed' END) FILTER (WHERE e.ends),
           array_agg(CASE e.state WHEN 'done' THEN 'answer' ELSE 'dead_letter' END) FILTER (WHERE e.ends),
           array_agg(coalesce(e.result, '{}') || CASE e.state WHEN 'dead' THEN jsonb_build_object('error', e.last_error) ELSE '{}' END)
               FILTER (WHERE e.ends)
    INTO v_events, v_states, v_uuids, v_statuses, v_ended_by, v_details
    FROM (SELECT n.*, n.candidate_id IS NOT NULL AND n.state <> 'retry' AND n.outcome <> 'running' AS ends FROM settled n) e;
    RETURN QUERY
    SELECT o.id, t.state, o.event_type, o.aggregate_type, o.candidate_id, x.message_due, x.status, x.event_type
    FROM unnest(v_events, v_states) AS t(id, state) JOIN m10_recovery.outbox o ON o.id = ANY (ARRAY[t.id])
    LEFT JOIN m10_recovery.end_executions(v_uuids, v_statuses, v_ended_by, v_details, p_processor, 'system') x ON x.execution_id = o.event_uuid;
END
$$;
