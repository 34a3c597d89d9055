-- An evaluation costs less: one statement writes a batch, and what may begin by itself is counted at its end.

-- Caps

-- An execution says itself whether a person approved it, so that the cap of a candidate is counted where its budget is, under its lock.
ALTER TABLE m10_recovery.execution ADD COLUMN by_itself boolean NOT NULL DEFAULT false;
UPDATE m10_recovery.execution x SET by_itself = true
FROM m10_recovery.outbox o
WHERE o.candidate_id = x.candidate_id AND o.event_uuid = x.execution_id AND o.by_itself AND x.begun_at > now() - interval '2 hours';
DELETE FROM m10_recovery.admission_count a WHERE a.kind = 'candidate';
ALTER TABLE m10_recovery.admission_count DROP CONSTRAINT admission_count_kind_check;
ALTER TABLE m10_recovery.admission_count ADD CONSTRAINT admission_count_kind_check CHECK (kind IN ('source', 'action', 'total'));

-- What these executions count for, how many of them, and how many more it may have within the hour.
CREATE FUNCTION m10_recovery.admission_rooms(p_actions text[], p_sources text[], p_limits jsonb)
RETURNS TABLE (kind text, name text, asked bigint, room bigint)
LANGUAGE plpgsql SET search_path = pg_catalog, m10_recovery, pg_temp SET enable_seqscan = off SET jit = off
SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    WITH asked AS (
        SELECT 'source' AS kind, coalesce(left(i.source, 200), '') AS name, count(*) AS n FROM unnest(p_sources) AS i(source) GROUP BY 2
        UNION ALL
        SELECT 'action', i.action, count(*) FROM unnest(p_actions) AS i(action) GROUP BY 2
        UNION ALL
        SELECT 'total', '', cardinality(p_actions)
    )
    SELECT a.kind, a.name, a.n, (p_limits ->> a.kind)::bigint - coalesce(
               (SELECT sum(c.used) FROM m10_recovery.admission_count c
                WHERE c.kind = a.kind AND c.name = a.name AND c.slot > clock_timestamp() - interval '65 minutes'), 0)::bigint
    FROM asked a WHERE p_limits ->> a.kind IS NOT NULL AND a.n > 0;
END
$$;

-- Which of these executions, in their order, may begin without a person, as far as it is committed what others began. A row each: link is its
-- number within its round; refused is NULL, or 'stopped', 'budget_spent: …', 'capped: …' and which cap.
-- p_limits: {"candidate": n, "source": n, "action": n, "total": n}, each within an hour; what is absent is not capped.
-- p_exact: nobody else can begin any from here to the end of this transaction. Whoever calls this has locked the candidates before, and locks
-- no other after it.
CREATE FUNCTION m10_recovery.admissible_executions(
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
    JOIN public.recovery_candidates c ON c.id = i.id,
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

-- Counts executions that begin by themselves in this transaction, which others then wait for until its end. False, and nothing counted, where
-- others have left no room since it was asked for.
CREATE FUNCTION m10_recovery.count_admissions(p_actions text[], p_sources text[], p_limits jsonb) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, m10_recovery, pg_temp
SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan AS $$
BEGIN
    IF coalesce(cardinality(p_actions), 0) = 0 THEN
        RETURN true;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('m10_recovery.admit_executions', 0));
    IF EXISTS (SELECT FROM m10_recovery.admission_rooms(p_actions, p_sources, p_limits) r WHERE r.room < r.asked) THEN
        RETURN false;
    END IF;
    INSERT INTO m10_recovery.admission_count AS c (kind, name, slot, used)
    SELECT r.kind, r.name, date_bin('5 minutes', clock_timestamp(), timestamptz '2000-01-01 00:00Z'), r.asked
    FROM m10_recovery.admission_rooms(p_actions, p_sources, p_limits) r
    ON CONFLICT (kind, name, slot) DO UPDATE SET used = c.used + excluded.used;
    RETURN true;
END
$$;

-- The fallback queue

-- As in 0007, but in the order in which enqueue_works takes the rows, so that the two cannot deadlock.
CREATE OR REPLACE FUNCTION m10_recovery.complete_works(p_work_ids bigint[], p_success boolean, p_error text) RETURNS SETOF bigint
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
    WITH open AS MATERIALIZED (
        SELECT w.id FROM m10_recovery.work_queue w
        WHERE w.id = ANY (p_work_ids) AND w.processed_at IS NULL ORDER BY w.candidate_id FOR UPDATE
    )
    UPDATE m10_recovery.work_queue w
    SET processed_at = CASE WHEN NOT w.requeued AND (p_success OR w.retry_count >= 5) THEN clock_timestamp() END,
        retry_count = CASE WHEN p_success THEN 0 ELSE least(w.retry_count + 1, 5) END,
        process_after = CASE WHEN p_success THEN clock_timestamp()
                             ELSE clock_timestamp() + least(interval '30 s' * power(2, least(w.retry_count, 7)), interval '1 hour') END,
        error_message = CASE WHEN NOT p_success THEN left(p_error, 2000) END,
        claimed_at = NULL, claimed_by = NULL, requeued = false
    FROM open o WHERE w.id = o.id
    RETURNING w.id
$$;

-- Publishing

-- Publishes the action of each candidate whose decision was just written, by its route, and opens its execution, in the caller's transaction.
-- p_links: its number within its round; NULL where that is to be looked up.
-- A route is what carries an action out: {"event": "webhook:…", "destination": "NAME", "template": {…}, "follows": [routes with "action"]}.
-- The payload is the one of the event's kind; method and headers of an http event, channel and text of a notice come from the template.
-- p_decided_by NULL: the evaluator that proposed it. p_by_itself: no person approved it.
DROP FUNCTION m10_recovery.publish_routes(bigint[], jsonb[], text, boolean);
CREATE FUNCTION m10_recovery.publish_routes(
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
        JOIN public.recovery_candidates c ON c.id = n.id
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
REVOKE EXECUTE ON FUNCTION m10_recovery.publish_routes FROM m10_app, m10_ops;
DROP FUNCTION m10_recovery.recovery_event;

-- Evaluations

-- What the records of decisions share (the actions as they were, the policy, the version of the rules), told by its content: a record has its
-- own part and this digest.
CREATE TABLE m10_recovery.decision_context (
    digest   text PRIMARY KEY,
    content  jsonb NOT NULL,
    made_at  timestamptz NOT NULL DEFAULT now()
);

-- The record of a decision, from the details of its provenance.
CREATE FUNCTION m10_recovery.whole_record(p_details jsonb) RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
    SELECT coalesce((SELECT p_details - 'context' || c.content FROM m10_recovery.decision_context c WHERE c.digest = p_details ->> 'context'),
                    p_details)
$$;
REVOKE EXECUTE ON FUNCTION m10_recovery.whole_record FROM m10_app;

-- An evaluation that took effect. begun: the action whose execution began with it.
CREATE TYPE m10_recovery.applied_evaluation AS (
    candidate_id bigint, generation int, decision text, source text, event_id bigint, message_due int, refused text, begun text);

-- Writes a batch of evaluations: decision, provenance, replay-log row, outbox event and the claims' end in one transaction. Who comes late
-- (another generation, or one already evaluated) changes nothing and gets no row back.
-- p_records: what each decision saw and came to, its generation, and under "context" the digest of one in p_contexts ({digest: content});
-- NULL: the evaluation leaves no provenance.
-- p_execute: the action is to be carried out by itself, if it is known, p_routes says how, the round's budget has an attempt left, and the
-- caps of p_limits leave room; refused says why not: it waits for a person.
-- message_due: a threshold was passed meanwhile, and this generation is due next.
-- What may begin by itself is judged by what others have committed, and counted at the end: only then do they wait for each other. Where they
-- have begun too much meanwhile, all is judged and written again, with the others kept out.
DROP FUNCTION m10_recovery.apply_evaluations;
CREATE FUNCTION m10_recovery.apply_evaluations(
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
                FROM given g JOIN public.recovery_candidates c ON c.id = g.id
                LEFT JOIN m10_recovery.suggestion_action a ON a.action_code = g.action
                WHERE c.generation = g.generation AND c.evaluated_generation < g.generation
                ORDER BY c.failure_match_id, c.error_signature
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
                WHERE c.id = j.id
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

-- Why executions that are to begin by themselves may not: {"candidate_id": "reason: what exactly"}. Those that may are counted in this
-- transaction, in which others then begin none.
CREATE OR REPLACE FUNCTION m10_recovery.refusals(p_candidate_ids bigint[], p_actions text[], p_sources text[], p_limits jsonb) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
DECLARE
    v_refused jsonb;
    v_actions text[];
    v_sources text[];
BEGIN
    IF p_candidate_ids IS NULL THEN
        RETURN '{}';
    END IF;
    SELECT coalesce(jsonb_object_agg(m.candidate_id, m.refused) FILTER (WHERE m.refused IS NOT NULL), '{}'),
           array_agg(w.action) FILTER (WHERE m.refused IS NULL), array_agg(w.source) FILTER (WHERE m.refused IS NULL)
    INTO v_refused, v_actions, v_sources
    FROM m10_recovery.admissible_executions(p_candidate_ids, p_actions, p_sources, p_limits, true) m
    JOIN unnest(p_candidate_ids, p_actions, p_sources) AS w(id, action, source) ON w.id = m.candidate_id;
    PERFORM m10_recovery.count_admissions(v_actions, v_sources, p_limits);
    RETURN v_refused;
END
$$;
DROP FUNCTION m10_recovery.admit_executions;
REVOKE EXECUTE ON FUNCTION m10_recovery.admission_rooms, m10_recovery.admissible_executions, m10_recovery.count_admissions FROM m10_app, m10_ops;

-- Records, read as a whole

-- As in 0025.
CREATE OR REPLACE FUNCTION m10_recovery.last_record(p_candidate_id bigint)
RETURNS TABLE (decided_at timestamptz, record text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
    SELECT m10_recovery.readable(p.created_at), m10_recovery.whole_record(p.details)::text
    FROM (SELECT n.id, n.created_at, n.details FROM m10_recovery.suggestion_provenance n
          WHERE n.suggestion_id = p_candidate_id AND n.event_type = 'rule_evaluated'
          UNION ALL
          SELECT a.id, a.created_at, a.details FROM m10_recovery.suggestion_provenance_archive a
          WHERE a.suggestion_id = p_candidate_id AND a.event_type = 'rule_evaluated'
            AND NOT EXISTS (SELECT FROM m10_recovery.suggestion_provenance n
                            WHERE n.suggestion_id = p_candidate_id AND n.event_type = 'rule_evaluated')) p
    ORDER BY p.id DESC LIMIT 1
$$;
CREATE OR REPLACE FUNCTION m10_recovery.decision_records(p_since timestamptz, p_until timestamptz, p_after bigint, p_before bigint, p_limit int)
RETURNS TABLE (id bigint, candidate_id bigint, record text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
    SELECT p.id, p.suggestion_id, m10_recovery.whole_record(p.details)::text
    FROM m10_recovery.suggestion_provenance p
    WHERE p.event_type = 'rule_evaluated' AND p.id > p_after AND p.id < p_before AND p.created_at >= p_since AND p.created_at < p_until
    ORDER BY p.id DESC LIMIT p_limit
$$;

-- As in 0013.
CREATE OR REPLACE FUNCTION m10_recovery.candidate_account(p_id bigint, p_newest int)
RETURNS TABLE (candidate m10_recovery.candidate_summary, message text, fingerprint text, created_by text, idempotency_key uuid, explain text,
               rules_evaluated text, review_note text, executed_at timestamptz, execution_result text, last_executed_at timestamptz,
               due_since timestamptz, inputs text, provenance text, events text, dead_letters text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
    SELECT s, left(c.error_message, 65536), c.fingerprint, c.created_by, c.idempotency_key, c.explain::text, c.rules_evaluated::text,
           c.review_note, m10_recovery.readable(c.executed_at), c.execution_result::text, m10_recovery.readable(c.last_executed_at),
           CASE WHEN s.due THEN m10_recovery.readable(c.due_at) END,
           (SELECT coalesce(jsonb_agg(jsonb_build_object('type', i.input_type, 'value', left(i.raw_value, 65536),
                                                         'created_at', m10_recovery.readable(i.created_at)) ORDER BY i.id DESC), '[]')
            FROM (SELECT * FROM m10_recovery.suggestion_input n WHERE n.suggestion_id = p_id ORDER BY n.id DESC LIMIT p_newest) i)::text,
           (SELECT coalesce(jsonb_agg(jsonb_build_object('event_type', p.event_type, 'details', m10_recovery.whole_record(p.details)::text, 'action', a.action_code,
                       'confidence_before', p.confidence_before, 'confidence_after', p.confidence_after, 'actor', p.actor,
                       'actor_type', p.actor_type, 'created_at', m10_recovery.readable(p.created_at), 'duration_ms', p.duration_ms)
                       ORDER BY p.id DESC), '[]')
            FROM (SELECT * FROM m10_recovery.suggestion_provenance n WHERE n.suggestion_id = p_id ORDER BY n.id DESC LIMIT p_newest) p
            LEFT JOIN m10_recovery.suggestion_action a ON a.id = p.action_id)::text,
           (SELECT coalesce(jsonb_agg(jsonb_build_object('id', o.id, 'event_type', o.event_type, 'destination', o.destination, 'round', o.round,
                       'state', CASE WHEN o.processed_at IS NOT NULL THEN 'delivered' WHEN o.dead_at IS NOT NULL THEN 'dead'
                                     WHEN o.claimed_at IS NOT NULL THEN 'in_hand' ELSE 'waiting' END,
                       'retry_count', o.retry_count, 'last_error', o.last_error, 'created_at', m10_recovery.readable(o.created_at),
                       'next_attempt_at', CASE WHEN o.processed_at IS NULL AND o.dead_at IS NULL THEN m10_recovery.readable(o.process_after) END,
                       'ended_at', m10_recovery.readable(coalesce(o.processed_at, o.dead_at))) ORDER BY o.id DESC), '[]')
            FROM (SELECT * FROM m10_recovery.outbox n WHERE n.candidate_id = p_id ORDER BY n.id DESC LIMIT p_newest) o)::text,
           (SELECT coalesce(jsonb_agg(jsonb_build_object('dl_msg_id', d.dl_msg_id, 'original_msg_id', d.original_msg_id, 'reason', d.reason,
                       'event_id', d.event_id, 'dead_lettered_at', m10_recovery.readable(d.dead_lettered_at)) ORDER BY d.id DESC), '[]')
            FROM (SELECT * FROM m10_recovery.dead_letter_archive n WHERE n.candidate_id = p_id ORDER BY n.id DESC LIMIT p_newest) d)::text
    FROM public.recovery_candidates c JOIN m10_recovery.candidate_summary s ON s.id = c.id
    WHERE c.id = p_id
$$;

-- Indexes: each is an entry for every evaluation, so what two of them did is done by one, and what nothing reads is gone

DROP INDEX public.ix_rc_history;  -- the history is read from executions since 0020
DROP INDEX public.ix_rc_standing, public.ix_rc_execution;
CREATE INDEX ix_rc_standing ON public.recovery_candidates (execution_status, id) INCLUDE (decision, selected_action_id);
DROP INDEX m10_recovery.uq_execution_open, m10_recovery.ix_execution_open;
CREATE UNIQUE INDEX uq_execution_open ON m10_recovery.execution (candidate_id) INCLUDE (begun_at) WHERE closed_at IS NULL;
DROP INDEX m10_recovery.ix_outbox_open, m10_recovery.ix_outbox_order;
CREATE INDEX ix_outbox_order ON m10_recovery.outbox (aggregate_type, aggregate_id, id) INCLUDE (process_after)
    WHERE processed_at IS NULL AND dead_at IS NULL;
