-- Outcomes: one row for each execution of an action, what came of it, and what follows when it failed.
--
-- The execution of an action and the round of its candidate are two things. The round's state (execution_status of the candidate) is final once
-- it has ended; what is known of whether the action helped grows: a result may be told later, and the failure may come back.
CREATE TABLE m10_recovery.execution (
    execution_id   uuid PRIMARY KEY,                   -- the event_uuid of the event that carries it out
    candidate_id   bigint NOT NULL REFERENCES public.recovery_candidates ON DELETE CASCADE,
    round          int NOT NULL,
    generation     int NOT NULL,                       -- the evaluation that proposed it
    link           int NOT NULL DEFAULT 1,             -- its number within its round
    action_id      bigint,                             -- of suggestion_action, from which nothing is deleted
    error_code     text,
    fingerprint    text,
    source         text,
    begun_by       text NOT NULL,
    begun_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    follows        jsonb,                              -- the routes of the actions that may follow when it fails
    status         text NOT NULL DEFAULT 'executing'
                   CHECK (status IN ('executing', 'succeeded', 'failed', 'rolled_back', 'skipped')),
    ended_by       text CHECK (ended_by IN ('answer', 'result', 'dead_letter', 'timeout', 'other')),
    closed_at      timestamptz,
    result         text CHECK (result IN ('succeeded', 'failed', 'rolled_back')),  -- what was told, once
    result_detail  jsonb,
    result_by      text,
    result_at      timestamptz,
    came_back_at   timestamptz,                        -- the same failure was counted again within verify_window of its success
    counted        text,                               -- the outcome as which suggestion_action counts it
    -- An accepted call is not yet a success: 2xx and silence are unknown, a told result or a failure that comes back are not.
    outcome        text GENERATED ALWAYS AS (CASE
                       WHEN status = 'executing' THEN NULL
                       WHEN came_back_at IS NOT NULL OR result IN ('failed', 'rolled_back') THEN 'did_not_help'
                       WHEN result = 'succeeded' THEN 'helped'
                       WHEN status IN ('failed', 'rolled_back') AND ended_by <> 'timeout' THEN 'did_not_help'
                       ELSE 'unknown' END) STORED,
    CHECK ((status = 'executing') = (closed_at IS NULL)),
    CHECK ((result IS NULL) = (result_at IS NULL))
);
-- At most one execution per candidate at a time, whatever is concurrent.
CREATE UNIQUE INDEX uq_execution_open ON m10_recovery.execution (candidate_id) WHERE closed_at IS NULL;
CREATE INDEX ix_execution_candidate ON m10_recovery.execution (candidate_id, round, link);
-- The history of an error code and of a fingerprint, newest first: only what is known (see execution_outcome).
CREATE INDEX ix_execution_code ON m10_recovery.execution (left(error_code, 200), closed_at DESC) WHERE outcome <> 'unknown';
CREATE INDEX ix_execution_fingerprint ON m10_recovery.execution (left(fingerprint, 200), closed_at DESC) WHERE outcome <> 'unknown';

-- What the history of a failure is read from: WHERE left(error_code, 200) = … or left(fingerprint, 200) = …, AND outcome <> 'unknown',
-- ORDER BY closed_at DESC. outcome: helped, did_not_help, unknown (silence: not counted).
CREATE VIEW m10_recovery.execution_outcome AS
    SELECT e.execution_id, e.candidate_id, e.round, e.link, e.action_id, e.error_code, e.fingerprint, e.source, e.outcome, e.closed_at
    FROM m10_recovery.execution e WHERE e.closed_at IS NOT NULL;

-- What was there before: the ended executions as they were counted until now, and those under way.
INSERT INTO m10_recovery.execution (execution_id, candidate_id, round, generation, action_id, error_code, fingerprint, source, begun_by, begun_at,
                                    status, ended_by, closed_at, result, result_by, result_at, counted)
SELECT coalesce(o.event_uuid, gen_random_uuid()), c.id, c.round, c.evaluated_generation, a.id, c.error_code, c.fingerprint, c.source,
       coalesce(c.approved_by_human, 'rules'), least(coalesce(c.last_executed_at, c.created_at), clock_timestamp()), c.execution_status,
       CASE WHEN c.closed_at IS NOT NULL THEN 'other' END, c.closed_at, r.result, CASE WHEN r.result IS NOT NULL THEN 'migration' END,
       CASE WHEN r.result IS NOT NULL THEN c.closed_at END,
       CASE r.result WHEN 'succeeded' THEN 'helped' WHEN 'failed' THEN 'did_not_help' WHEN 'rolled_back' THEN 'did_not_help' END
FROM public.recovery_candidates c
LEFT JOIN m10_recovery.suggestion_action a ON a.id = c.selected_action_id
LEFT JOIN LATERAL (SELECT e.event_uuid FROM m10_recovery.outbox e WHERE e.candidate_id = c.id AND e.round = c.round
                   ORDER BY e.id DESC LIMIT 1) o ON true,
LATERAL (SELECT CASE WHEN c.execution_status IN ('succeeded', 'failed', 'rolled_back') THEN c.execution_status END AS result) r
WHERE c.execution_status IN ('executing', 'succeeded', 'failed', 'rolled_back') AND (c.execution_status = 'executing') = (c.closed_at IS NULL)
  AND NOT (c.execution_status = 'executing' AND c.decision = 'rejected');  -- as another program left it; nothing may end it

ALTER TABLE m10_recovery.settings
    ADD COLUMN verify_window interval NOT NULL DEFAULT '30 minutes' CHECK (verify_window >= '0'),
    ADD COLUMN result_timeout interval NOT NULL DEFAULT '1 hour' CHECK (result_timeout > '0'),
    ADD COLUMN attempt_budget int NOT NULL DEFAULT 3 CHECK (attempt_budget BETWEEN 1 AND 100),
    -- What may be carried out without a person, for what SQL decides itself: {"auto_execute": …, "limits": {…} (see admit_executions),
    -- "quiet": [{"days": [0], "begin": 1320, "end": 420}, …], "zone": "UTC", "four_eyes": ["action", …] for what two people approve};
    -- days from Monday, minutes of the day.
    ADD COLUMN autonomy jsonb NOT NULL DEFAULT '{}';

-- As in 0003, with the settings that were added here and in 0020.
CREATE OR REPLACE FUNCTION m10_recovery.configure(p_settings jsonb) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
    UPDATE m10_recovery.settings s
    SET recheck_thresholds = n.recheck_thresholds, reopen_after = n.reopen_after,
        max_retries = n.max_retries, retry_schedule = n.retry_schedule, retry_jitter = n.retry_jitter,
        event_max_age = n.event_max_age, claim_takeover = n.claim_takeover,
        verify_window = n.verify_window, result_timeout = n.result_timeout, attempt_budget = n.attempt_budget, autonomy = n.autonomy,
        rate_windows = n.rate_windows, rate_levels = n.rate_levels, updated_at = clock_timestamp()
    FROM m10_recovery.settings old,
         LATERAL jsonb_populate_record(old, p_settings - 'installation' - 'one') AS n
    WHERE (s.recheck_thresholds, s.reopen_after, s.max_retries, s.retry_schedule, s.retry_jitter,
           s.event_max_age, s.claim_takeover, s.verify_window, s.result_timeout, s.attempt_budget, s.autonomy, s.rate_windows, s.rate_levels)
          IS DISTINCT FROM
          (n.recheck_thresholds, n.reopen_after, n.max_retries, n.retry_schedule, n.retry_jitter,
           n.event_max_age, n.claim_takeover, n.verify_window, n.result_timeout, n.attempt_budget, n.autonomy, n.rate_windows, n.rate_levels)
$$;

-- What an action came to: total_applications counts every execution that has ended, successful_applications those that helped,
-- unknown_applications those of which nobody knows; success_rate is over the known ones, and 0 where there are none.
ALTER TABLE m10_recovery.suggestion_action ADD COLUMN unknown_applications bigint NOT NULL DEFAULT 0;

-- Until this moment a repeat says that the last success did not help.
ALTER TABLE public.recovery_candidates ADD COLUMN verify_until timestamptz;

-- Counts what is known of these executions with their actions, instead of what was known before; how many changed. Whoever calls it has the
-- candidates of these executions locked. One counts at a time, until its transaction ends: it may count again, and lock the actions in any order.
CREATE FUNCTION m10_recovery.count_outcomes(p_ids uuid[]) RETURNS int
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
    SELECT pg_advisory_xact_lock(hashtextextended('m10_recovery.count_outcomes', 0));
    WITH changed AS MATERIALIZED (
        SELECT x.execution_id, x.action_id, x.counted AS before, x.outcome AS now
        FROM m10_recovery.execution x WHERE x.execution_id = ANY (p_ids) AND x.counted IS DISTINCT FROM x.outcome
    ), marked AS (
        UPDATE m10_recovery.execution x SET counted = c.now FROM changed c WHERE x.execution_id = c.execution_id
    ), sums AS MATERIALIZED (
        SELECT c.action_id, count(c.now) - count(c.before) AS total,
               count(*) FILTER (WHERE c.now = 'helped') - count(*) FILTER (WHERE c.before = 'helped') AS helped,
               count(*) FILTER (WHERE c.now = 'unknown') - count(*) FILTER (WHERE c.before = 'unknown') AS unknown
        FROM changed c GROUP BY 1
    ), locked AS MATERIALIZED (  -- in one order, so that two batches cannot deadlock
        SELECT a.id, greatest(least(a.total_applications, m.most) + s.total, 0) AS total,
               greatest(least(a.successful_applications, m.most) + s.helped, 0) AS helped,
               greatest(least(a.unknown_applications, m.most) + s.unknown, 0) AS unknown
        FROM m10_recovery.suggestion_action a JOIN sums s ON s.action_id = a.id,
             LATERAL (SELECT 4611686018427387904 AS most) m  -- 2^62: another program's number stops no count
        ORDER BY a.id FOR NO KEY UPDATE OF a
    ), rated AS (
        UPDATE m10_recovery.suggestion_action a
        SET total_applications = l.total, successful_applications = l.helped, unknown_applications = l.unknown,
            success_rate = CASE WHEN l.total > l.unknown THEN least(1, l.helped::real / (l.total - l.unknown)) ELSE 0 END, updated_at = now()
        FROM locked l WHERE a.id = l.id
    )
    SELECT count(*)::int FROM changed
$$;
REVOKE EXECUTE ON FUNCTION m10_recovery.count_outcomes FROM m10_app;

-- Publishing

-- Whether an event carries out an action that no person has approved: what the stop switch holds back.
ALTER TABLE m10_recovery.outbox ADD COLUMN by_itself boolean NOT NULL DEFAULT false;
UPDATE m10_recovery.outbox o SET by_itself = true
FROM public.recovery_candidates c
WHERE c.id = o.candidate_id AND c.round = o.round AND c.approved_by_human IS NULL AND o.processed_at IS NULL AND o.dead_at IS NULL;

-- Publishes the action of each candidate whose decision was just written, by its route, and opens its execution, in the caller's transaction.
-- A route is what carries an action out: {"event": "webhook:…", "destination": "NAME", "template": {…}, "follows": [routes with "action"]}.
-- The payload is the one of the event's kind; method and headers of an http event, channel and text of a notice come from the template.
-- p_decided_by NULL: the evaluator that proposed it.
CREATE FUNCTION m10_recovery.publish_routes(p_ids bigint[], p_routes jsonb[], p_decided_by text, p_by_itself boolean)
RETURNS TABLE (candidate_id bigint, event_id bigint)
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, m10_recovery, pg_temp SET enable_seqscan = off SET jit = off AS $$
    WITH chosen AS MATERIALIZED (
        SELECT c AS candidate, n.route, coalesce(p_decided_by, c.explain ->> 'evaluator', 'rules') AS decided_by,
               a.action_code, a.id AS action_id, gen_random_uuid() AS event_uuid,
               1 + (SELECT count(*) FROM m10_recovery.execution x WHERE x.candidate_id = c.id AND x.round = c.round) AS link
        FROM unnest(p_ids, p_routes) AS n(id, route)
        JOIN public.recovery_candidates c ON c.id = n.id
        JOIN m10_recovery.suggestion_action a ON a.id = c.selected_action_id
    ), begun AS (
        INSERT INTO m10_recovery.execution
            (execution_id, candidate_id, round, generation, link, action_id, error_code, fingerprint, source, begun_by, follows)
        SELECT n.event_uuid, (n.candidate).id, (n.candidate).round, (n.candidate).evaluated_generation, n.link, n.action_id,
               (n.candidate).error_code, (n.candidate).fingerprint, (n.candidate).source, n.decided_by, n.route -> 'follows'
        FROM chosen n
    )
    INSERT INTO m10_recovery.outbox
        (aggregate_type, aggregate_id, event_type, payload, event_uuid, destination, candidate_id, round, by_itself)
    SELECT 'recovery_candidate', (n.candidate).id::text, n.route ->> 'event',
           CASE split_part(n.route ->> 'event', ':', 1)
               WHEN 'http' THEN jsonb_build_object('method', coalesce(n.route #>> '{template,method}', 'POST'),
                                                   'headers', coalesce(n.route #> '{template,headers}', '{}'), 'body', b.body)
               WHEN 'notify' THEN jsonb_build_object('channel', coalesce(n.route #>> '{template,channel}', 'log'),
                                                     'text', coalesce(n.route #>> '{template,text}', (n.candidate).suggestion), 'data', b.body)
               ELSE jsonb_build_object('data', b.body) END,
           n.event_uuid, n.route ->> 'destination', (n.candidate).id, (n.candidate).round, p_by_itself
    FROM chosen n,
    LATERAL (SELECT m10_recovery.recovery_event(n.candidate, n.event_uuid, n.action_code, n.route -> 'template', n.decided_by) AS body) b
    RETURNING candidate_id, id
$$;
REVOKE EXECUTE ON FUNCTION m10_recovery.publish_routes FROM m10_app, m10_ops;

-- As in 0010, and opens the executions: what a person approved. p_actions maps an action to its route.
CREATE OR REPLACE FUNCTION m10_recovery.publish_actions(p_ids bigint[], p_actions jsonb, p_decided_by text)
RETURNS TABLE (candidate_id bigint, event_id bigint)
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
    SELECT p.* FROM (
        SELECT array_agg(c.id) AS ids, array_agg(p_actions -> a.action_code) AS routes
        FROM unnest(p_ids) AS n(id)
        JOIN public.recovery_candidates c ON c.id = n.id JOIN m10_recovery.suggestion_action a ON a.id = c.selected_action_id) chosen,
    LATERAL m10_recovery.publish_routes(chosen.ids, chosen.routes, p_decided_by, false) p
$$;

-- Writes a batch of evaluations: decision, provenance, replay-log row, outbox event and the claims' end in one transaction. Who comes late
-- (another generation, or one already evaluated) changes nothing and gets no row back.
-- p_execute: the action is to be carried out by itself, if it is known, p_routes says how, the round's budget has an attempt left, and
-- admit_executions admits it under p_limits; refused says why not: it waits for a person.
-- p_records: all that each decision saw and came to, its generation too, for its provenance.
-- message_due: a threshold was passed meanwhile, and this generation is due next.
DROP FUNCTION m10_recovery.apply_evaluations;
CREATE FUNCTION m10_recovery.apply_evaluations(
    p_worker text, p_ids bigint[], p_generations int[], p_counts bigint[], p_actions text[], p_confidences real[], p_suggestions text[],
    p_explains text[], p_rules text[], p_execute boolean[], p_durations_ms int[], p_routes jsonb, p_work_ids bigint[],
    p_records text[] DEFAULT NULL, p_limits jsonb DEFAULT '{}')
RETURNS TABLE (candidate_id bigint, generation int, decision text, source text, event_id bigint, message_due int, refused text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, m10_recovery, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
    v_ids bigint[];
    v_generations int[];
    v_nths int[];       -- where each stands in the arrays
    v_action_ids bigint[];
    v_wanted bigint[];  -- those to be carried out by themselves
    v_actions text[];
    v_sources text[];
    v_refused jsonb := '{}';
    v_publish bigint[];
    v_routes jsonb[];
BEGIN
    WITH done AS MATERIALIZED (
        SELECT DISTINCT ON (e.id) e.*
        FROM unnest(p_ids, p_generations, p_actions, p_execute) WITH ORDINALITY AS e(id, generation, action, execute, nth)
        ORDER BY e.id, e.generation DESC
    ), locked AS MATERIALIZED (
        SELECT c.id, d.generation, d.nth, a.id AS action_id, d.action, c.source,
               d.execute AND a.id IS NOT NULL AND p_routes ? d.action AND c.decision = 'pending' AND c.closed_at IS NULL
               AND coalesce(c.execution_status, 'pending') = 'pending' AS wanted
        FROM public.recovery_candidates c JOIN done d ON d.id = c.id
        LEFT JOIN m10_recovery.suggestion_action a ON a.action_code = d.action
        WHERE c.generation = d.generation AND c.evaluated_generation < d.generation
        ORDER BY c.failure_match_id, c.error_signature
        FOR UPDATE OF c
    )
    SELECT array_agg(l.id), array_agg(l.generation), array_agg(l.nth), array_agg(l.action_id), array_agg(l.id) FILTER (WHERE l.wanted),
           array_agg(l.action) FILTER (WHERE l.wanted), array_agg(l.source) FILTER (WHERE l.wanted)
    INTO v_ids, v_generations, v_nths, v_action_ids, v_wanted, v_actions, v_sources FROM locked l;

    IF v_wanted IS NOT NULL THEN
        v_refused := m10_recovery.refusals(v_wanted, v_actions, v_sources, p_limits);
        SELECT array_agg(w.id), array_agg(p_routes -> w.action) INTO v_publish, v_routes
        FROM unnest(v_wanted, v_actions) AS w(id, action) WHERE NOT v_refused ? w.id::text;
    END IF;

    WITH given AS MATERIALIZED (
        SELECT m.id, m.action_id, e.*, v_refused ->> m.id::text AS refused, w.id IS NOT NULL AS publish,
               c.selected_action_id AS action_before, c.confidence AS confidence_before, c.evaluated_count > 0 AS was_evaluated
        FROM unnest(p_generations, p_counts, p_confidences, p_suggestions, p_explains, p_rules, p_records, p_durations_ms) WITH ORDINALITY
            AS e(generation, count, sure, suggestion, explain, rules, record, duration_ms, nth)
        JOIN unnest(v_ids, v_nths, v_action_ids) AS m(id, nth, action_id) USING (nth)
        JOIN public.recovery_candidates c ON c.id = m.id
        LEFT JOIN unnest(v_publish) AS w(id) ON w.id = m.id
    ), written AS (
        UPDATE public.recovery_candidates c
        SET evaluated_generation = g.generation, evaluated_count = g.count, evaluation_error = NULL, confidence = g.sure,
            -- The sentence of recovery/wording.py that does not hold then.
            suggestion = CASE WHEN g.refused IS NULL THEN g.suggestion
                              ELSE replace(g.suggestion, 'It is carried out now.', 'Not by itself, ' || g.refused || '.') END,
            explain = CASE WHEN g.refused IS NULL THEN g.explain::jsonb
                           ELSE g.explain::jsonb || jsonb_build_object('execute', false, 'reason', split_part(g.refused, ':', 1)) END,
            selected_action_id = g.action_id, rules_evaluated = g.rules::jsonb, updated_at = now(),
            decision = CASE WHEN g.publish THEN 'approved' ELSE c.decision END,
            approved_at = CASE WHEN g.publish THEN clock_timestamp() ELSE c.approved_at END,
            execution_status = CASE WHEN g.publish THEN 'executing' ELSE c.execution_status END,
            last_executed_at = CASE WHEN g.publish THEN clock_timestamp() ELSE c.last_executed_at END
        FROM given g
        WHERE c.id = g.id
        RETURNING g.*
    ), proven AS (
        INSERT INTO m10_recovery.suggestion_provenance
            (suggestion_id, event_type, details, action_id, confidence_before, confidence_after, actor, actor_type, duration_ms)
        SELECT w.id, step.event_type,
               CASE WHEN w.refused IS NULL THEN step.details ELSE step.details || jsonb_build_object('refused', w.refused) END,
               w.action_id, w.confidence_before, w.sure, p_worker, 'system', w.duration_ms
        FROM written w, LATERAL (SELECT jsonb_build_object('generation', w.generation) AS short) d,
        LATERAL (VALUES ('rule_evaluated', coalesce(w.record::jsonb, d.short), true),
                        ('action_selected', d.short, w.action_id IS NOT NULL AND w.action_id IS DISTINCT FROM w.action_before),
                        ('confidence_updated', d.short, w.was_evaluated AND w.sure <> w.confidence_before),
                        ('executed', d.short, w.publish)) AS step(event_type, details, taken)
        WHERE step.taken
    ), logged AS (
        INSERT INTO m10_recovery.replay_log (message_id, candidate_id)
        SELECT w.id || ':' || w.generation, w.id FROM written w
        ON CONFLICT (message_id) DO NOTHING
    ), claims AS MATERIALIZED (  -- in the order of begin_attempts
        SELECT k.candidate_id, k.generation
        FROM m10_recovery.evaluation_claim k JOIN written w ON k.candidate_id = w.id AND k.generation <= w.generation
        ORDER BY k.candidate_id, k.generation FOR UPDATE OF k
    )
    DELETE FROM m10_recovery.evaluation_claim k USING claims c WHERE k.candidate_id = c.candidate_id AND k.generation = c.generation;

    PERFORM m10_recovery.complete_works(p_work_ids, true, NULL) WHERE cardinality(p_work_ids) > 0;
    RETURN QUERY
    SELECT c.id, m.generation, c.decision, c.source, e.event_id, CASE WHEN c.generation > c.evaluated_generation THEN c.generation END,
           v_refused ->> c.id::text
    FROM unnest(v_ids, v_generations) AS m(id, generation)
    JOIN public.recovery_candidates c ON c.id = m.id
    LEFT JOIN m10_recovery.publish_routes(v_publish, v_routes, NULL, true) e ON e.candidate_id = c.id;
END
$$;

-- Why executions that are to begin by themselves may not: {"candidate_id": "reason: what exactly"}. Those that may are counted by
-- admit_executions in this transaction.
CREATE FUNCTION m10_recovery.refusals(p_candidate_ids bigint[], p_actions text[], p_sources text[], p_limits jsonb) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, m10_recovery, pg_temp SET enable_seqscan = off SET jit = off AS $$
DECLARE
    v_spent jsonb;
    v_refused jsonb;
BEGIN
    SELECT coalesce(jsonb_object_agg(c.id, format('budget_spent: %s of %s attempts of this round were made', n.made, s.attempt_budget)), '{}')
    INTO v_spent
    FROM m10_recovery.settings s, unnest(p_candidate_ids) AS w(id) JOIN public.recovery_candidates c ON c.id = w.id,
    LATERAL (SELECT count(*) AS made FROM m10_recovery.execution x WHERE x.candidate_id = c.id AND x.round = c.round) n
    WHERE n.made >= s.attempt_budget;
    SELECT coalesce(jsonb_object_agg(a.candidate_id, a.refused), '{}') INTO v_refused
    FROM (SELECT array_agg(w.id) AS ids, array_agg(w.action) AS actions, array_agg(w.source) AS sources
          FROM unnest(p_candidate_ids, p_actions, p_sources) AS w(id, action, source) WHERE NOT v_spent ? w.id::text
          HAVING count(*) > 0) asked,
    LATERAL m10_recovery.admit_executions(asked.ids, asked.actions, asked.sources, p_limits) a
    WHERE a.refused IS NOT NULL;
    RETURN v_spent || v_refused;
END
$$;
REVOKE EXECUTE ON FUNCTION m10_recovery.refusals FROM m10_app, m10_ops;

-- The end of executions

-- Whether nothing is to be carried out without a person at this hour (settings.autonomy).
CREATE FUNCTION m10_recovery.is_quiet(p_autonomy jsonb) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
    SELECT EXISTS (
        SELECT FROM (SELECT clock_timestamp() AT TIME ZONE coalesce(p_autonomy ->> 'zone', 'UTC') AS at) clock,
        LATERAL (SELECT extract(isodow FROM clock.at)::int - 1 AS day,
                        extract(hour FROM clock.at)::int * 60 + extract(minute FROM clock.at)::int AS minute) n,
        jsonb_to_recordset(coalesce(p_autonomy -> 'quiet', '[]')) AS q(days jsonb, "begin" int, "end" int)
        WHERE CASE WHEN q."begin" < q."end" THEN q.days @> to_jsonb(n.day) AND n.minute >= q."begin" AND n.minute < q."end"
                   ELSE q.days @> to_jsonb(n.day) AND n.minute >= q."begin" OR q.days @> to_jsonb((n.day + 6) % 7) AND n.minute < q."end" END)
$$;

-- Ends executions, each once, and with each the round of its candidate: its state, provenance and the rate of its action. One that failed and
-- that another action follows does not end the round: the next link is carried out at once where nothing stands against that, else it waits for
-- a person. An attempt is reserved with its row, before anything is sent. A row out for each that was open.
-- p_ended_by: answer, result, dead_letter, timeout. message_due: the generation that became due; event_id: the next link's.
CREATE FUNCTION m10_recovery.end_executions(
    p_ids uuid[], p_statuses text[], p_ended_by text[], p_details jsonb[], p_by text, p_actor_type text)
RETURNS TABLE (execution_id uuid, candidate_id bigint, status text, message_due int, event_id bigint, event_type text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
#variable_conflict use_column
DECLARE
    s m10_recovery.settings;
    v_now timestamptz := clock_timestamp();
    v_ids uuid[];
    v_next jsonb;      -- {"candidate_id": {"action_id", "route", "reason"}}: what follows, and why not by itself
    v_refused jsonb;
    v_run bigint[];
    v_routes jsonb[];
BEGIN
    IF p_ids IS NULL THEN
        RETURN;
    END IF;
    SELECT * INTO s FROM m10_recovery.settings;
    -- Whoever writes an execution has its candidate locked, all in one order: what the next statement finds open, nobody else ends.
    PERFORM FROM public.recovery_candidates c
    WHERE c.id IN (SELECT x.candidate_id FROM m10_recovery.execution x WHERE x.execution_id = ANY (p_ids))
    ORDER BY c.failure_match_id, c.error_signature FOR UPDATE;
    WITH ended AS (
        UPDATE m10_recovery.execution x
        SET status = t.status, ended_by = t.ended_by, closed_at = v_now, result = CASE WHEN t.ended_by = 'result' THEN t.status END,
            result_detail = CASE WHEN t.ended_by = 'result' THEN t.detail END, result_by = CASE WHEN t.ended_by = 'result' THEN p_by END,
            result_at = CASE WHEN t.ended_by = 'result' THEN v_now END
        FROM (SELECT DISTINCT ON (u.id) u.* FROM unnest(p_ids, p_statuses, p_ended_by, p_details) AS u(id, status, ended_by, detail)
              ORDER BY u.id) t
        WHERE x.execution_id = t.id AND x.closed_at IS NULL
        RETURNING x.execution_id, x.candidate_id, x.round, x.status, x.ended_by, x.follows -> 0 AS next
    )
    SELECT array_agg(e.execution_id),
           jsonb_object_agg(e.candidate_id, jsonb_build_object('action_id', a.id, 'route', e.next, 'reason', CASE
               WHEN c.generation > c.evaluated_generation THEN 'evaluation_due'
               WHEN a.requires_approval OR (e.next -> 'four_eyes') = 'true' THEN 'needs_approval'
               WHEN NOT a.is_automated THEN 'not_automated'
               WHEN (s.autonomy -> 'auto_execute') IS DISTINCT FROM 'true' THEN 'auto_execute_off'
               WHEN m10_recovery.is_quiet(s.autonomy) THEN 'quiet_hours' END)) FILTER (WHERE a.id IS NOT NULL)
    INTO v_ids, v_next
    FROM ended e JOIN public.recovery_candidates c ON c.id = e.candidate_id
    LEFT JOIN m10_recovery.suggestion_action a
        ON e.status = 'failed' AND e.ended_by <> 'timeout' AND a.action_code = e.next ->> 'action' AND a.is_active
           AND c.round = e.round AND c.execution_status = 'executing';
    IF v_next IS NOT NULL THEN
        SELECT m10_recovery.refusals(array_agg(c.id), array_agg(n.next #>> '{route,action}'), array_agg(c.source),
                                     coalesce(s.autonomy -> 'limits', '{}'))
        INTO v_refused
        FROM jsonb_each(v_next) AS n(id, next) JOIN public.recovery_candidates c ON c.id = n.id::bigint WHERE n.next ->> 'reason' IS NULL;
        SELECT array_agg(n.id::bigint), array_agg((n.next -> 'route') || jsonb_build_object('follows', x.follows - 0)) INTO v_run, v_routes
        FROM jsonb_each(v_next) AS n(id, next)
        JOIN m10_recovery.execution x ON x.candidate_id = n.id::bigint AND x.execution_id = ANY (v_ids)
        WHERE n.next ->> 'reason' IS NULL AND NOT coalesce(v_refused, '{}') ? n.id;
    END IF;

    WITH ended AS MATERIALIZED (
        SELECT x.*, t.detail, n.next, n.next IS NOT NULL AND x.candidate_id = ANY (coalesce(v_run, '{}')) AS runs,
               coalesce(n.next ->> 'reason', v_refused ->> x.candidate_id::text, 'executes') AS reason
        FROM m10_recovery.execution x JOIN unnest(p_ids, p_details) AS t(id, detail) ON t.id = x.execution_id
        LEFT JOIN LATERAL (SELECT v_next -> x.candidate_id::text AS next) n ON true
        WHERE x.execution_id = ANY (v_ids)
    ), moved AS (
        UPDATE public.recovery_candidates c
        SET execution_status = CASE WHEN e.next IS NULL THEN e.status WHEN e.runs THEN 'executing' END,
            closed_at = CASE WHEN e.next IS NULL THEN v_now END,
            executed_at = v_now, execution_result = e.detail, updated_at = now(),
            verify_until = CASE WHEN e.status = 'succeeded' THEN v_now + s.verify_window END,
            decision = CASE WHEN e.next IS NULL THEN c.decision WHEN e.runs THEN 'approved' ELSE 'pending' END,
            approved_by_human = CASE WHEN e.next IS NULL THEN c.approved_by_human END,
            approved_at = CASE WHEN e.next IS NULL THEN c.approved_at WHEN e.runs THEN v_now END,
            review_note = CASE WHEN e.next IS NULL THEN c.review_note END,
            last_executed_at = CASE WHEN e.runs THEN v_now ELSE c.last_executed_at END,
            selected_action_id = coalesce((e.next ->> 'action_id')::bigint, c.selected_action_id),
            -- What a person saw before was another proposal: a generation of its own, unless one is due in any case.
            generation = c.generation + f.new, evaluated_generation = c.evaluated_generation + f.new,
            suggestion = CASE WHEN e.next IS NULL THEN c.suggestion ELSE format('%s, because what was tried before it failed. %s',
                e.next #>> '{route,action}', CASE WHEN e.runs THEN 'It is carried out now.' ELSE 'Not by itself, ' || e.reason || '.' END) END,
            explain = CASE WHEN e.next IS NULL THEN c.explain ELSE c.explain || jsonb_build_object(
                'action', e.next #>> '{route,action}', 'execute', e.runs, 'reason', split_part(e.reason, ':', 1), 'follows', e.execution_id) END
        FROM ended e, LATERAL (SELECT (e.next IS NOT NULL AND e.reason <> 'evaluation_due')::int AS new) f
        WHERE c.id = e.candidate_id AND c.round = e.round AND c.execution_status = 'executing'
        RETURNING c.id
    )
    INSERT INTO m10_recovery.suggestion_provenance (suggestion_id, event_type, details, action_id, actor, actor_type)
    SELECT e.candidate_id, step.event_type, jsonb_strip_nulls(step.details), step.action_id, p_by, p_actor_type
    FROM ended e,
    LATERAL (VALUES
        (1, CASE e.status WHEN 'succeeded' THEN 'success' WHEN 'failed' THEN 'failure' ELSE e.status END,
         jsonb_build_object('execution_id', e.execution_id, 'ended_by', e.ended_by, 'detail', e.result_detail), e.action_id),
        (2, CASE WHEN e.next IS NOT NULL THEN 'action_selected' END,
         jsonb_build_object('follows', e.execution_id, 'refused', nullif(e.reason, 'executes')), (e.next ->> 'action_id')::bigint),
        (3, CASE WHEN e.runs THEN 'executed' END, jsonb_build_object('follows', e.execution_id), (e.next ->> 'action_id')::bigint))
        AS step(nth, event_type, details, action_id)
    WHERE step.event_type IS NOT NULL
    ORDER BY e.candidate_id, step.nth;

    PERFORM m10_recovery.count_outcomes(v_ids);
    RETURN QUERY
    SELECT x.execution_id, x.candidate_id, x.status, CASE WHEN c.generation > c.evaluated_generation THEN c.generation END,
           p.event_id, r.route ->> 'event'
    FROM m10_recovery.execution x JOIN public.recovery_candidates c ON c.id = x.candidate_id
    LEFT JOIN unnest(v_run, v_routes) AS r(id, route) ON r.id = x.candidate_id
    LEFT JOIN m10_recovery.publish_routes(v_run, v_routes, 'chain', true) p
        ON p.candidate_id = x.candidate_id
    WHERE x.execution_id = ANY (v_ids);
END
$$;
REVOKE EXECUTE ON FUNCTION m10_recovery.end_executions FROM m10_app, m10_ops;

-- As in 0019, but what an execution came to is written by end_executions: execution is how it ended, next_event_type what follows it.
DROP FUNCTION m10_recovery.complete_events, m10_recovery.settle_events;
CREATE FUNCTION m10_recovery.settle_events(
    p_processor text, p_epoch bigint, p_ids bigint[], p_outcomes text[], p_errors text[], p_delays interval[], p_results jsonb[],
    p_attempts jsonb[] DEFAULT NULL)
RETURNS TABLE (event_id bigint, state text, event_type text, aggregate_type text, candidate_id bigint, message_due int, execution text,
               next_event_type text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, m10_recovery, pg_temp SET enable_seqscan = off SET jit = off AS $$
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
        WHERE o.id = c.id
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
    FROM unnest(v_events, v_states) AS t(id, state) JOIN m10_recovery.outbox o ON o.id = t.id
    LEFT JOIN m10_recovery.end_executions(v_uuids, v_statuses, v_ended_by, v_details, p_processor, 'system') x ON x.execution_id = o.event_uuid;
END
$$;
REVOKE EXECUTE ON FUNCTION m10_recovery.settle_events FROM m10_app, m10_ops;

-- For the engine: only with the live lock in this epoch (else M1002). p_attempts: what else is known of each attempt (status, ms, answer).
CREATE FUNCTION m10_recovery.complete_events(
    p_processor text, p_epoch bigint, p_ids bigint[], p_outcomes text[], p_errors text[], p_delays interval[], p_results jsonb[],
    p_attempts jsonb[] DEFAULT NULL)
RETURNS TABLE (event_id bigint, state text, event_type text, aggregate_type text, candidate_id bigint, message_due int, execution text,
               next_event_type text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
BEGIN
    PERFORM m10_recovery.demand_lease('m10:outbox_processor', p_processor, p_epoch);
    RETURN QUERY SELECT * FROM m10_recovery.settle_events(p_processor, p_epoch, p_ids, p_outcomes, p_errors, p_delays, p_results, p_attempts);
END
$$;

-- The result of an execution, told by whoever carried it out: one for each execution. It ends an execution that is under way; after the end
-- (2xx, dead letter, timeout) it changes what the history says, but not the round, whose state is final.
-- outcome: ended, late (the execution had ended before), repeated (the same was told before), conflict (another was), not_found.
CREATE FUNCTION m10_recovery.report_result(p_execution_id uuid, p_status text, p_detail jsonb, p_by text)
RETURNS TABLE (outcome text, candidate_id bigint, status text, ended_by text, result text, detail text, told_by text, told_at timestamptz,
               message_due int, next_event_type text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
#variable_conflict use_column
DECLARE
    x m10_recovery.execution;
    v_outcome text;
    v_due int;
    v_next text;
BEGIN
    IF p_status IS NULL OR p_status NOT IN ('succeeded', 'failed', 'rolled_back') THEN
        RAISE EXCEPTION 'status: expected succeeded, failed or rolled_back' USING ERRCODE = '22023';
    END IF;
    PERFORM FROM public.recovery_candidates c
    WHERE c.id = (SELECT e.candidate_id FROM m10_recovery.execution e WHERE e.execution_id = p_execution_id) FOR UPDATE;
    SELECT * INTO x FROM m10_recovery.execution e WHERE e.execution_id = p_execution_id;
    v_outcome := CASE
        WHEN x.execution_id IS NULL THEN 'not_found'
        WHEN x.result IS NULL THEN CASE WHEN x.closed_at IS NULL THEN 'ended' ELSE 'late' END
        WHEN x.result = p_status THEN 'repeated'
        ELSE 'conflict' END;
    IF v_outcome = 'ended' THEN
        SELECT e.message_due, e.event_type INTO v_due, v_next
        FROM m10_recovery.end_executions(ARRAY[p_execution_id], ARRAY[p_status], '{result}', ARRAY[p_detail], p_by, 'api') e;
    ELSIF v_outcome = 'late' THEN
        UPDATE m10_recovery.execution e
        SET result = p_status, result_detail = p_detail, result_by = p_by, result_at = clock_timestamp() WHERE e.execution_id = p_execution_id;
        INSERT INTO m10_recovery.suggestion_provenance (suggestion_id, event_type, details, action_id, actor, actor_type)
        VALUES (x.candidate_id, CASE p_status WHEN 'succeeded' THEN 'success' WHEN 'failed' THEN 'failure' ELSE p_status END,
                jsonb_strip_nulls(jsonb_build_object('execution_id', p_execution_id, 'late', true, 'detail', p_detail)), x.action_id, p_by, 'api');
        PERFORM m10_recovery.count_outcomes(ARRAY[p_execution_id]);
    END IF;
    RETURN QUERY
    SELECT v_outcome, e.candidate_id, e.status, e.ended_by, e.result, e.result_detail::text, e.result_by, e.result_at, v_due, v_next
    FROM (SELECT 1) one LEFT JOIN m10_recovery.execution e ON e.execution_id = p_execution_id;
END
$$;

-- For the operations job. adopted: candidates that another program set executing get an execution of their own. unknown: executions whose event
-- was delivered or is lost, and of which nothing was heard for result_timeout, end as failed; nobody knows whether they helped, and the history
-- does not count them. came_back: successes after which the failure came back are counted as no help.
CREATE FUNCTION m10_recovery.resolve_executions(p_by text, p_limit int) RETURNS TABLE (adopted int, unknown int, came_back int)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
#variable_conflict use_column
DECLARE
    v_before timestamptz := clock_timestamp() - (SELECT s.result_timeout FROM m10_recovery.settings s);
    v_overdue uuid[];
    v_count int;
BEGIN
    -- Only what is ended here is waited for, and first: the other candidates are locked out of that order, and passed over where others have them.
    SELECT array_agg(x.execution_id) INTO v_overdue
    FROM (SELECT x.execution_id FROM m10_recovery.execution x
          LEFT JOIN LATERAL (SELECT o.processed_at IS NULL AND o.dead_at IS NULL AS is_open, coalesce(o.processed_at, o.dead_at) AS ended_at
                             FROM m10_recovery.outbox o WHERE o.candidate_id = x.candidate_id AND o.event_uuid = x.execution_id) e ON true
          WHERE x.closed_at IS NULL AND x.begun_at < v_before AND e.is_open IS NOT TRUE AND coalesce(e.ended_at, x.begun_at) < v_before
          ORDER BY x.begun_at LIMIT p_limit) x;
    v_count := coalesce(cardinality(v_overdue), 0);
    SELECT count(*) INTO unknown
    FROM m10_recovery.end_executions(v_overdue, array_fill('failed'::text, ARRAY[v_count]),
        array_fill('timeout'::text, ARRAY[v_count]),
        array_fill('{"error": "no_result"}'::jsonb, ARRAY[v_count]), p_by, 'system');

    SELECT m10_recovery.count_outcomes(ARRAY(
        SELECT x.execution_id FROM m10_recovery.execution x JOIN public.recovery_candidates c ON c.id = x.candidate_id
        WHERE x.came_back_at IS NOT NULL AND x.counted IS DISTINCT FROM 'did_not_help' AND x.closed_at IS NOT NULL
        LIMIT p_limit FOR UPDATE OF c SKIP LOCKED)) INTO came_back;

    INSERT INTO m10_recovery.execution
        (execution_id, candidate_id, round, generation, link, action_id, error_code, fingerprint, source, begun_by)
    SELECT gen_random_uuid(), c.id, c.round, c.evaluated_generation, 1 + (SELECT count(*) FROM m10_recovery.execution x
               WHERE x.candidate_id = c.id AND x.round = c.round),
           a.id, c.error_code, c.fingerprint, c.source, 'another program'
    FROM (SELECT * FROM public.recovery_candidates r
          WHERE r.execution_status = 'executing' AND r.decision <> 'rejected' AND r.closed_at IS NULL
            AND NOT EXISTS (SELECT FROM m10_recovery.execution x WHERE x.candidate_id = r.id AND x.closed_at IS NULL)
          LIMIT p_limit FOR UPDATE SKIP LOCKED) c
    LEFT JOIN m10_recovery.suggestion_action a ON a.id = c.selected_action_id
    ON CONFLICT (candidate_id) WHERE closed_at IS NULL DO NOTHING;
    GET DIAGNOSTICS adopted = ROW_COUNT;
    RETURN NEXT;
END
$$;
REVOKE EXECUTE ON FUNCTION m10_recovery.resolve_executions FROM m10_app;
CREATE INDEX ix_execution_came_back ON m10_recovery.execution (came_back_at)
    WHERE came_back_at IS NOT NULL AND counted IS DISTINCT FROM 'did_not_help';

-- As in 0014, and the execution is open again with its event. newer_round too where a later action of the same round was proposed or carried out.
CREATE OR REPLACE FUNCTION m10_recovery.resend_event(p_event_id bigint, p_by text, p_why text, p_delivered boolean)
RETURNS TABLE (outcome text, event_id bigint, event_type text, destination text, candidate_id bigint, execution_status text)
LANGUAGE plpgsql SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
#variable_conflict use_column
DECLARE
    o m10_recovery.outbox;
    c public.recovery_candidates;
    v_outcome text;
BEGIN
    SELECT * INTO o FROM m10_recovery.outbox e WHERE e.id = p_event_id FOR UPDATE;
    SELECT * INTO c FROM public.recovery_candidates r WHERE r.id = o.candidate_id FOR UPDATE;
    v_outcome := CASE
        WHEN o.id IS NULL THEN 'not_found'
        WHEN o.processed_at IS NULL AND o.dead_at IS NULL THEN 'already_open'
        WHEN o.dead_at IS NULL AND NOT p_delivered THEN 'delivered'
        WHEN c.round > o.round AND (coalesce(c.execution_status, 'pending') <> 'pending'
             OR EXISTS (SELECT FROM m10_recovery.outbox n WHERE n.candidate_id = o.candidate_id AND n.round > o.round)) THEN 'newer_round'
        WHEN c.round = o.round AND (c.closed_at IS NULL AND c.execution_status IS DISTINCT FROM 'executing'
             OR EXISTS (SELECT FROM m10_recovery.outbox n WHERE n.candidate_id = o.candidate_id AND n.round = o.round AND n.id > o.id))
             THEN 'newer_round'
        ELSE 'resent' END;
    IF v_outcome = 'already_open' THEN
        UPDATE m10_recovery.outbox e SET process_after = clock_timestamp()
        WHERE e.id = o.id AND e.claimed_at IS NULL AND e.process_after > clock_timestamp();
    ELSIF v_outcome = 'resent' THEN
        UPDATE m10_recovery.outbox e
        SET processed_at = NULL, processed_by = NULL, dead_at = NULL, retry_count = 0, unreachable_count = 0,
            process_after = clock_timestamp(), resent_at = clock_timestamp()
        WHERE e.id = o.id;
        UPDATE m10_recovery.execution x
        SET status = 'executing', ended_by = NULL, closed_at = NULL, result = NULL, result_detail = NULL, result_by = NULL, result_at = NULL
        WHERE x.execution_id = o.event_uuid AND x.status = 'failed' AND o.dead_at IS NOT NULL
          AND c.round = o.round AND c.execution_status = 'failed' AND c.decision = 'approved';
        IF FOUND THEN  -- else another program has written states in which nothing can be executing: the event alone goes again
            UPDATE public.recovery_candidates r
            SET execution_status = 'executing', executed_at = NULL, execution_result = NULL, closed_at = NULL,
                last_executed_at = clock_timestamp(), updated_at = now()
            WHERE r.id = c.id
            RETURNING r.execution_status INTO c.execution_status;
            PERFORM m10_recovery.count_outcomes(ARRAY[o.event_uuid]);
        END IF;
        INSERT INTO m10_recovery.suggestion_provenance (suggestion_id, event_type, details, action_id, actor, actor_type)
        SELECT c.id, 'resent', jsonb_build_object('event_id', o.id, 'why', p_why), c.selected_action_id, p_by, 'human' WHERE c.id IS NOT NULL;
        INSERT INTO m10_recovery.replay_log (message_id, original_msg_id, dl_msg_id, candidate_id, replayed_at, replayed_by, why)
        SELECT 'resend:' || gen_random_uuid(), 'outbox:' || o.id,
               CASE WHEN o.dead_at IS NOT NULL THEN
                   (SELECT d.dl_msg_id FROM m10_recovery.dead_letter_archive d
                    WHERE d.original_msg_id = 'outbox:' || o.id ORDER BY d.id DESC LIMIT 1) END,
               o.candidate_id, clock_timestamp(), p_by, p_why;
    END IF;
    RETURN QUERY SELECT v_outcome, p_event_id, o.event_type, o.destination, o.candidate_id, c.execution_status;
END
$$;

-- States

-- What may follow what within a round (docs/states.md), whoever writes it: M1004. An end is final; executing needs an approval; what is under way
-- is neither taken back nor decided anew.
CREATE FUNCTION m10_recovery.candidate_moves() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
DECLARE
    v_why text;
    v_ends CONSTANT text[] := '{succeeded,failed,rolled_back,skipped}';
BEGIN
    v_why := CASE
        WHEN OLD.execution_status = 'failed' AND NEW.execution_status = 'executing' AND NEW.decision = OLD.decision AND EXISTS (
            SELECT FROM m10_recovery.execution x WHERE x.candidate_id = NEW.id AND x.closed_at IS NULL) THEN NULL
        WHEN OLD.execution_status = ANY (v_ends) OR OLD.decision = 'rejected' THEN 'the round has ended, and its end is final'
        WHEN NEW.execution_status = 'executing' AND NEW.decision <> 'approved' THEN 'only what is approved can be executing'
        WHEN OLD.execution_status = 'executing' AND coalesce(NEW.execution_status, 'pending') = 'pending' AND EXISTS (
            SELECT FROM m10_recovery.execution x WHERE x.candidate_id = NEW.id AND x.closed_at IS NULL) THEN 'its execution is under way'
        WHEN OLD.execution_status = 'executing' AND NEW.decision <> OLD.decision
             AND NOT (NEW.decision = 'pending' AND coalesce(NEW.execution_status, 'pending') = 'pending') THEN 'its action has been published' END;
    IF v_why IS NOT NULL THEN
        RAISE EXCEPTION 'candidate % of round % cannot go from %/% to %/%: %', NEW.id, OLD.round, OLD.decision,
            coalesce(OLD.execution_status, 'none'), NEW.decision, coalesce(NEW.execution_status, 'none'), v_why USING ERRCODE = 'M1004';
    END IF;
    RETURN NEW;
END
$$;
-- Triggers of one table fire by name: allows sees what was written, before closes and recurs add to it. It is not asked about a verdict on what
-- is open, which may always be given.
CREATE TRIGGER allows BEFORE UPDATE OF decision, execution_status ON public.recovery_candidates
    FOR EACH ROW
    WHEN (NEW.round = OLD.round
          AND (NEW.decision <> OLD.decision OR NEW.execution_status IS DISTINCT FROM OLD.execution_status)
          AND (OLD.execution_status <> 'pending' OR OLD.decision = 'rejected'
               OR NEW.execution_status = 'executing' AND NEW.decision <> 'approved'))
    EXECUTE FUNCTION m10_recovery.candidate_moves();

-- As in 0004, and: an end that was not written by end_executions (which sets closed_at itself) is a word of somebody else, and ends the execution.
CREATE OR REPLACE FUNCTION m10_recovery.candidate_closes() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
DECLARE
    v_now timestamptz := clock_timestamp();
    v_result text := CASE WHEN NEW.execution_status IN ('succeeded', 'failed', 'rolled_back') THEN NEW.execution_status END;
    v_id uuid;
    v_action bigint := (SELECT a.id FROM m10_recovery.suggestion_action a WHERE a.id = NEW.selected_action_id);
BEGIN
    NEW.closed_at := v_now;
    IF NEW.execution_status IN ('succeeded', 'failed', 'rolled_back', 'skipped') THEN
        UPDATE m10_recovery.execution x
        SET status = NEW.execution_status, ended_by = 'other', closed_at = v_now, result = v_result,
            result_by = CASE WHEN v_result IS NOT NULL THEN session_user END, result_at = CASE WHEN v_result IS NOT NULL THEN v_now END
        WHERE x.candidate_id = NEW.id AND x.closed_at IS NULL
        RETURNING x.execution_id INTO v_id;
        IF v_id IS NULL THEN
            INSERT INTO m10_recovery.execution
                (execution_id, candidate_id, round, generation, link, action_id, error_code, fingerprint, source, begun_by, begun_at, status,
                 ended_by, closed_at, result, result_by, result_at)
            SELECT gen_random_uuid(), NEW.id, NEW.round, NEW.evaluated_generation, 1 + count(*), v_action, NEW.error_code, NEW.fingerprint,
                   NEW.source, session_user, v_now, NEW.execution_status, 'other', v_now, v_result,
                   CASE WHEN v_result IS NOT NULL THEN session_user END, CASE WHEN v_result IS NOT NULL THEN v_now END
            FROM m10_recovery.execution x WHERE x.candidate_id = NEW.id AND x.round = NEW.round
            RETURNING execution_id INTO v_id;
        END IF;
        INSERT INTO m10_recovery.suggestion_provenance (suggestion_id, event_type, details, action_id, actor, actor_type)
        VALUES (NEW.id, 'manual_override', jsonb_build_object('execution_status', NEW.execution_status, 'execution_id', v_id), v_action,
                session_user, 'human');
        PERFORM m10_recovery.count_outcomes(ARRAY[v_id]);
        NEW.verify_until := CASE WHEN NEW.execution_status = 'succeeded'
                                 THEN v_now + (SELECT s.verify_window FROM m10_recovery.settings s) END;
    END IF;
    RETURN NEW;
END
$$;

-- A repeat within verify_window of a success: the action did not help. Its rate is corrected by the operations job, not here: ingest waits for
-- no action's row.
CREATE FUNCTION m10_recovery.candidate_comes_back() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
DECLARE
    v_id uuid;
    v_action bigint;
BEGIN
    IF clock_timestamp() < OLD.verify_until THEN
        UPDATE m10_recovery.execution x SET came_back_at = clock_timestamp()
        WHERE x.status = 'succeeded' AND x.execution_id = (
            SELECT l.execution_id FROM m10_recovery.execution l WHERE l.candidate_id = NEW.id AND l.closed_at IS NOT NULL
            ORDER BY l.round DESC, l.link DESC LIMIT 1)
        RETURNING x.execution_id, x.action_id INTO v_id, v_action;
        IF FOUND THEN
            INSERT INTO m10_recovery.suggestion_provenance (suggestion_id, event_type, details, action_id, actor, actor_type)
            VALUES (NEW.id, 'came_back', jsonb_build_object('execution_id', v_id, 'occurrence_count', NEW.occurrence_count), v_action, 'engine',
                    'system');
        END IF;
    END IF;
    NEW.verify_until := NULL;
    RETURN NEW;
END
$$;
CREATE TRIGGER comes_back BEFORE UPDATE OF occurrence_count ON public.recovery_candidates
    FOR EACH ROW WHEN (OLD.verify_until IS NOT NULL AND NEW.occurrence_count > OLD.occurrence_count)
    EXECUTE FUNCTION m10_recovery.candidate_comes_back();

-- Provenance begins where a candidate is opened, by whatever statement, and so does what it was opened with: ingest, which sets a fingerprint,
-- writes the payload itself; of others there is what their columns say.
CREATE FUNCTION m10_recovery.candidates_created() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
BEGIN
    INSERT INTO m10_recovery.suggestion_provenance (suggestion_id, event_type, details, actor, actor_type)
    SELECT c.id, 'created', jsonb_build_object('occurrence_count', c.occurrence_count), coalesce(c.created_by, session_user), 'system'
    FROM opened c;
    INSERT INTO m10_recovery.suggestion_input (suggestion_id, input_type, raw_value, normalized_value)
    SELECT c.id, 'failure', jsonb_strip_nulls(jsonb_build_object('error_code', c.error_code, 'source', c.source))::text, c.error_message
    FROM opened c WHERE c.fingerprint IS NULL;
    RETURN NULL;
END
$$;
CREATE TRIGGER created AFTER INSERT ON public.recovery_candidates REFERENCING NEW TABLE AS opened
    FOR EACH STATEMENT EXECUTE FUNCTION m10_recovery.candidates_created();

-- What is counted

-- The most frequent candidates without a verdict, and in each row how many there are in all: for counts and dashboards, which can do with what
-- was a minute ago. Lists read the table.
DROP MATERIALIZED VIEW m10_recovery.mv_top_pending;
CREATE MATERIALIZED VIEW m10_recovery.mv_top_pending AS
    SELECT c.id, c.failure_match_id, c.error_code, c.source, c.suggestion, c.confidence, c.occurrence_count, c.last_occurrence_at, c.created_at,
           a.action_code AS action, count(*) OVER () AS pending
    FROM public.recovery_candidates c LEFT JOIN m10_recovery.suggestion_action a ON a.id = c.selected_action_id
    WHERE c.decision = 'pending'
    ORDER BY c.occurrence_count DESC, c.id
    LIMIT 1000;
CREATE UNIQUE INDEX uq_mv_top_pending ON m10_recovery.mv_top_pending (id);

CREATE INDEX ix_execution_open ON m10_recovery.execution (begun_at) WHERE closed_at IS NULL;
CREATE VIEW m10_recovery.metrics_executions AS
    SELECT count(*) AS open, coalesce(extract(epoch FROM clock_timestamp() - min(x.begun_at)), 0)::float8 AS oldest_seconds
    FROM m10_recovery.execution x WHERE x.closed_at IS NULL;
GRANT SELECT ON m10_recovery.metrics_executions TO m10_metrics;
