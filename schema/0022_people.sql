-- What people decide, and what is carried out without them: caps, the stop switch, approvals, and lists that stay fast.

-- Caps

-- How many executions were admitted without a person, by what they count for, in slots of five minutes: the last hour is the sum of at most
-- 13 rows, whatever was admitted, and no hour holds more than a cap, wherever it begins.
CREATE TABLE m10_recovery.admission_count (
    kind  text NOT NULL CHECK (kind IN ('candidate', 'source', 'action', 'total')),
    name  text NOT NULL,
    slot  timestamptz NOT NULL,
    used  int NOT NULL CHECK (used > 0),
    PRIMARY KEY (kind, name, slot)
);
CREATE INDEX ix_admission_slot ON m10_recovery.admission_count (slot);

-- The stop switch: whether nothing is to be carried out without a person.
CREATE FUNCTION m10_recovery.actions_stopped() RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
    SELECT EXISTS (SELECT FROM m10_recovery.control c WHERE c.part = 'actions' AND (c.until IS NULL OR c.until > clock_timestamp()))
$$;

-- Which of these executions, in their order, may be carried out without a person. A row each: `refused` is NULL for one that is admitted and
-- counted in this transaction, else 'stopped' or 'capped: ' and which cap.
-- p_limits: {"candidate": n, "source": n, "action": n, "total": n}, each within an hour; what is absent is not capped.
-- Admissions come one after the other in the whole database, each until its transaction ends, so that no two of them pass a cap together.
-- Whoever calls this has locked the candidates before and locks no other after it.
CREATE FUNCTION m10_recovery.admit_executions(p_candidate_ids bigint[], p_actions text[], p_sources text[], p_limits jsonb)
RETURNS TABLE (candidate_id bigint, refused text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
#variable_conflict use_column
DECLARE
    v_now timestamptz;
    v_kinds text[];   -- what is counted here, each once,
    v_names text[];
    v_room bigint[];  -- how many more it may have in this hour, before
    v_left bigint[];  -- and after
    v_asked int[];    -- what each execution counts for, as positions in those arrays: v_each of them, one execution after the other
    v_each int;
    v_mine int[];
    v_key int;
    v_full int;       -- the first of them without room
    v_refused text[] := array_fill(NULL::text, ARRAY[cardinality(p_candidate_ids)]);
BEGIN
    IF coalesce(cardinality(p_candidate_ids), 0) = 0 THEN
        RETURN;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('m10_recovery.admit_executions', 0));
    IF m10_recovery.actions_stopped() THEN
        RETURN QUERY SELECT i.id, 'stopped' FROM unnest(p_candidate_ids) AS i(id);
        RETURN;
    END IF;
    v_now := clock_timestamp();
    WITH asked AS MATERIALIZED (
        SELECT i.nth, k.rank, k.kind, k.name, dense_rank() OVER (ORDER BY k.kind, k.name)::int AS position
        FROM unnest(p_candidate_ids, p_actions, p_sources) WITH ORDINALITY AS i(id, action, source, nth),
             LATERAL (VALUES (1, 'candidate', i.id::text), (2, 'source', coalesce(left(i.source, 200), '')), (3, 'action', i.action),
                             (4, 'total', '')) AS k(rank, kind, name)
        WHERE p_limits ->> k.kind IS NOT NULL
    ), counted AS (
        SELECT a.position, a.kind, a.name, (p_limits ->> a.kind)::bigint - coalesce(
                   (SELECT sum(c.used) FROM m10_recovery.admission_count c
                    WHERE c.kind = a.kind AND c.name = a.name AND c.slot > v_now - interval '65 minutes'), 0) AS room
        FROM (SELECT DISTINCT position, kind, name FROM asked) a
    )
    SELECT array_agg(c.kind ORDER BY c.position), array_agg(c.name ORDER BY c.position), array_agg(c.room ORDER BY c.position),
           (SELECT array_agg(a.position ORDER BY a.nth, a.rank) FROM asked a), (SELECT count(DISTINCT a.rank) FROM asked a)
    INTO v_kinds, v_names, v_room, v_asked, v_each
    FROM counted c;
    v_left := v_room;
    FOR v_nth IN 1..cardinality(p_candidate_ids) LOOP
        v_mine := coalesce(v_asked[(v_nth - 1) * v_each + 1:v_nth * v_each], '{}');
        v_full := NULL;
        FOREACH v_key IN ARRAY v_mine LOOP
            v_full := CASE WHEN v_full IS NULL AND v_left[v_key] <= 0 THEN v_key ELSE v_full END;
        END LOOP;
        IF v_full IS NOT NULL THEN
            v_refused[v_nth] := format('capped: %s an hour for %s', p_limits ->> v_kinds[v_full],
                CASE v_kinds[v_full] WHEN 'total' THEN 'all' ELSE v_kinds[v_full] || ' ' || v_names[v_full] END);
        ELSE
            FOREACH v_key IN ARRAY v_mine LOOP
                v_left[v_key] := v_left[v_key] - 1;
            END LOOP;
        END IF;
    END LOOP;
    INSERT INTO m10_recovery.admission_count AS c (kind, name, slot, used)
    SELECT k.kind, k.name, date_bin('5 minutes', v_now, timestamptz '2000-01-01 00:00Z'), k.before - k.after
    FROM unnest(v_kinds, v_names, v_room, v_left) AS k(kind, name, before, after) WHERE k.before > k.after
    ON CONFLICT (kind, name, slot) DO UPDATE SET used = c.used + excluded.used;
    RETURN QUERY SELECT i.id, i.refused FROM unnest(p_candidate_ids, v_refused) WITH ORDINALITY AS i(id, refused, nth) ORDER BY i.nth;
END
$$;

-- The stop switch

ALTER TABLE m10_recovery.control DROP CONSTRAINT control_part_check;
ALTER TABLE m10_recovery.control ADD CONSTRAINT control_part_check CHECK (part IN ('intake', 'delivery', 'jobs', 'actions'));
ALTER TABLE m10_recovery.control_log DROP CONSTRAINT control_log_part_check;
ALTER TABLE m10_recovery.control_log ADD CONSTRAINT control_log_part_check CHECK (part IN ('intake', 'delivery', 'jobs', 'actions'));

-- As in 0019, and: while actions are stopped, what the engine decided by itself is not claimed; what a person approved or sent again is.
DROP FUNCTION m10_recovery.claim_events, m10_recovery.claim_open_events;
CREATE FUNCTION m10_recovery.claim_open_events(p_processor text, p_epoch bigint, p_limit int, p_held text[] DEFAULT NULL)
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
            WHERE o.id = f.id
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

REVOKE EXECUTE ON FUNCTION m10_recovery.claim_open_events FROM m10_app, m10_ops;

-- For the engine: only with the live lock in this epoch (else M1002).
CREATE FUNCTION m10_recovery.claim_events(p_processor text, p_epoch bigint, p_limit int, p_held text[] DEFAULT NULL)
RETURNS TABLE (id bigint, aggregate_type text, aggregate_id text, event_type text, payload text, retry_count int, event_uuid uuid,
               destination text, idempotency_key text, by_itself boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
BEGIN
    PERFORM m10_recovery.demand_lease('m10:outbox_processor', p_processor, p_epoch);
    RETURN QUERY
    SELECT e.id, e.aggregate_type, e.aggregate_id, e.event_type, e.payload::text, e.retry_count, e.event_uuid, e.destination,
           m10_recovery.event_key(e.id, e.aggregate_type, e.aggregate_id, e.event_type), e.by_itself
    FROM m10_recovery.claim_open_events(p_processor, p_epoch, p_limit, p_held) e;
END
$$;

-- Verdicts

-- First approvals, where two people have to approve: rows are added, never changed. What it was that the person approved stands in it.
CREATE TABLE m10_recovery.approval (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    candidate_id   bigint NOT NULL REFERENCES public.recovery_candidates ON DELETE CASCADE,
    round          int NOT NULL,
    generation     int NOT NULL,
    rules_version  text,
    action_code    text NOT NULL,
    event_type     text NOT NULL,
    destination    text,
    person         text NOT NULL,   -- the name of the token, or of the account: two approvals need two of them
    named          text NOT NULL,   -- the same with the name that the person claims
    note           text,
    approved_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at     timestamptz NOT NULL
);
CREATE INDEX ix_approval_candidate ON m10_recovery.approval (candidate_id, id);
REVOKE UPDATE, DELETE ON m10_recovery.approval FROM m10_ops;

-- A person's verdict on several candidates, each for itself; a row for each id, in their order. An approval publishes the action in this
-- transaction. p_generations: the evaluations that the person saw, NULL where they did not say.
-- p_person is who acts, p_named the same with the name that they claim. p_routes as for publish_actions; with "four_eyes": true in one, or
-- where a running engine has said so for this action (settings.autonomy), whatever the caller knows, two people have to approve: p_expires is how long the first approval stands, and it lapses when what was approved has changed.
-- p_own: whether a person may approve what is proposed for a failure that they reported themselves.
-- outcome: approved, rejected, not_found, evaluation_due, generation_differs, already_decided, no_action, action_has_no_destination,
--   own_candidate, awaits_second (the first approval is stored), first_expired, first_changed (the same, and why an earlier one has lapsed),
--   same_person (their approval stands, another's is needed).
DROP FUNCTION m10_recovery.decide_candidate;
CREATE FUNCTION m10_recovery.decide_candidates(
    p_ids bigint[], p_generations int[], p_decision text, p_person text, p_named text, p_note text, p_routes jsonb, p_expires interval,
    p_own boolean)
RETURNS TABLE (outcome text, candidate_id bigint, decision text, execution_status text, evaluated_generation int, event_id bigint,
               event_type text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
#variable_conflict use_column
DECLARE
    v_ids bigint[];
    v_outcomes text[];
    v_publish bigint[];
BEGIN
    IF p_decision IS NULL OR p_decision NOT IN ('approved', 'rejected') THEN
        RAISE EXCEPTION 'decision: expected approved or rejected' USING ERRCODE = '22023';
    END IF;
    -- Locked by a statement of its own, so that the next one sees the approvals of whoever held them before.
    PERFORM FROM public.recovery_candidates c WHERE c.id = ANY (p_ids) ORDER BY c.failure_match_id, c.error_signature FOR UPDATE;
    WITH told AS (
        SELECT DISTINCT ON (t.id) t.* FROM unnest(p_ids, p_generations) WITH ORDINALITY AS t(id, generation, nth) ORDER BY t.id, t.nth
    ), judged AS MATERIALIZED (
        SELECT t.id, t.nth, c.round, c.evaluated_generation, c.confidence, c.selected_action_id, c.explain ->> 'rules_version' AS rules_version,
               a.action_code, r.route ->> 'event' AS event_type, r.route ->> 'destination' AS destination,
               CASE WHEN c.id IS NULL THEN 'not_found'
                    WHEN c.decision <> 'pending' OR c.closed_at IS NOT NULL OR coalesce(c.execution_status, 'pending') <> 'pending'
                        THEN 'already_decided'
                    WHEN c.generation > c.evaluated_generation THEN 'evaluation_due'
                    WHEN t.generation <> c.evaluated_generation THEN 'generation_differs'
                    WHEN p_decision = 'rejected' THEN 'rejected'
                    WHEN a.id IS NULL THEN 'no_action'
                    WHEN r.route IS NULL THEN 'action_has_no_destination'
                    WHEN NOT p_own AND c.created_by = p_person THEN 'own_candidate'
                    WHEN (r.route -> 'four_eyes') IS DISTINCT FROM 'true' AND NOT coalesce(s.autonomy -> 'four_eyes' ? a.action_code, false)
                        THEN 'approved'
                    WHEN f.id IS NULL THEN 'awaits_second'
                    WHEN f.expires_at <= clock_timestamp() THEN 'first_expired'
                    WHEN (f.generation, f.rules_version, f.action_code, f.event_type, f.destination) IS DISTINCT FROM
                         (c.evaluated_generation, c.explain ->> 'rules_version', a.action_code, r.route ->> 'event', r.route ->> 'destination')
                        THEN 'first_changed'
                    WHEN f.person = p_person THEN 'same_person'
                    ELSE 'approved' END AS outcome
        FROM told t
        LEFT JOIN public.recovery_candidates c ON c.id = t.id
        LEFT JOIN m10_recovery.suggestion_action a ON a.id = c.selected_action_id
        LEFT JOIN LATERAL (SELECT p_routes -> a.action_code AS route) r ON true
        CROSS JOIN m10_recovery.settings s
        LEFT JOIN LATERAL (SELECT * FROM m10_recovery.approval p WHERE p.candidate_id = c.id AND p.round = c.round ORDER BY p.id DESC LIMIT 1) f
            ON true
    ), decided AS (
        UPDATE public.recovery_candidates c
        SET decision = j.outcome, approved_by_human = p_named, approved_at = clock_timestamp(), review_note = p_note, updated_at = now(),
            execution_status = CASE WHEN j.outcome = 'approved' THEN 'executing' END,
            last_executed_at = CASE WHEN j.outcome = 'approved' THEN clock_timestamp() ELSE c.last_executed_at END
        FROM judged j WHERE c.id = j.id AND j.outcome IN ('approved', 'rejected')
    ), stored AS (
        INSERT INTO m10_recovery.approval
            (candidate_id, round, generation, rules_version, action_code, event_type, destination, person, named, note, expires_at)
        SELECT j.id, j.round, j.evaluated_generation, j.rules_version, j.action_code, j.event_type, j.destination, p_person, p_named, p_note,
               clock_timestamp() + p_expires
        FROM judged j WHERE j.outcome IN ('awaits_second', 'first_expired', 'first_changed')
    ), proven AS (
        INSERT INTO m10_recovery.suggestion_provenance (suggestion_id, event_type, details, action_id, confidence_after, actor, actor_type)
        SELECT j.id, CASE WHEN j.outcome IN ('approved', 'rejected') THEN j.outcome ELSE 'first_approved' END,
               jsonb_build_object('generation', j.evaluated_generation, 'note', p_note, 'rules_version', j.rules_version,
                                  'destination', j.destination),
               j.selected_action_id, j.confidence, p_named, 'human'
        FROM judged j WHERE j.outcome IN ('approved', 'rejected', 'awaits_second', 'first_expired', 'first_changed')
    )
    SELECT array_agg(j.id ORDER BY j.nth), array_agg(j.outcome ORDER BY j.nth), array_agg(j.id) FILTER (WHERE j.outcome = 'approved')
    INTO v_ids, v_outcomes, v_publish
    FROM judged j;
    RETURN QUERY
    SELECT d.outcome, d.id, c.decision, c.execution_status, c.evaluated_generation, e.event_id,
           CASE WHEN e.event_id IS NOT NULL THEN p_routes -> a.action_code ->> 'event' END
    FROM unnest(v_ids, v_outcomes) WITH ORDINALITY AS d(id, outcome, nth)
    LEFT JOIN public.recovery_candidates c ON c.id = d.id
    LEFT JOIN m10_recovery.suggestion_action a ON a.id = c.selected_action_id
    LEFT JOIN m10_recovery.publish_actions(v_publish, p_routes, p_named) e ON e.candidate_id = d.id
    ORDER BY d.nth;
END
$$;

-- Lists

-- What /stats adds up and a count by decision reads, and nothing else: none of it changes with an occurrence.
CREATE INDEX ix_rc_standing ON public.recovery_candidates (decision, execution_status, selected_action_id);

-- As in 0013, but what is due is found by its own index: a page of few among many looked through all of them.
CREATE OR REPLACE FUNCTION m10_recovery.candidates_page(
    p_decision text, p_execution_status text, p_source text, p_error_code text, p_action text, p_text text, p_since timestamptz,
    p_due boolean, p_order text, p_after bigint, p_limit int, p_offset int, p_with_total boolean)
RETURNS TABLE (total bigint, candidate m10_recovery.candidate_summary)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, m10_recovery, pg_temp SET plan_cache_mode = force_custom_plan AS $$
DECLARE
    v_action bigint := (SELECT a.id FROM m10_recovery.suggestion_action a WHERE a.action_code = p_action);
    v_text text := lower(p_text COLLATE "C");  -- the letter case of ASCII only: much faster
BEGIN
    RETURN QUERY
    WITH due AS MATERIALIZED (
        SELECT c.id FROM public.recovery_candidates c WHERE p_due AND c.generation > c.evaluated_generation
    ), matching AS NOT MATERIALIZED (
        SELECT c.id, c.occurrence_count FROM public.recovery_candidates c
        WHERE (p_decision IS NULL OR c.decision = p_decision)
          AND (p_execution_status IS NULL OR c.execution_status = p_execution_status)
          AND (p_source IS NULL OR left(c.source, 200) = p_source)
          AND (p_error_code IS NULL OR left(c.error_code, 200) = p_error_code)
          AND (p_action IS NULL OR c.selected_action_id = v_action)
          AND (p_text IS NULL OR strpos(lower(c.error_message COLLATE "C"), v_text) > 0 OR strpos(lower(c.error_code COLLATE "C"), v_text) > 0)
          AND (p_since IS NULL OR c.last_occurrence_at >= p_since)
          AND (p_due IS NOT TRUE OR c.id IN (SELECT d.id FROM due d))
          AND (p_due IS NOT FALSE OR c.generation <= c.evaluated_generation)
    )
    SELECT t.total, s
    FROM (SELECT CASE WHEN p_with_total THEN (SELECT count(*) FROM matching) END AS total) t
    LEFT JOIN unnest(ARRAY(
        SELECT m.id FROM matching m
        WHERE p_after IS NULL OR CASE WHEN p_order = 'oldest' THEN m.id > p_after ELSE m.id < p_after END
        ORDER BY CASE WHEN p_order = 'occurrences' THEN m.occurrence_count END DESC, CASE WHEN p_order = 'oldest' THEN m.id END, m.id DESC
        LIMIT p_limit OFFSET p_offset)) WITH ORDINALITY AS p(id, nth) ON true
    LEFT JOIN m10_recovery.candidate_summary s ON s.id = p.id
    ORDER BY p.nth;
END
$$;

-- As in 0013, but from an index alone. Up to 20,000 candidates the sources are counted; beyond, they are estimated from PostgreSQL's
-- statistics (sources_estimated), which know the 100 most frequent ones, and what those leave has the name NULL.
DROP FUNCTION m10_recovery.recovery_stats;
CREATE FUNCTION m10_recovery.recovery_stats(p_sources int)
RETURNS TABLE (candidates bigint, by_decision jsonb, by_execution jsonb, by_action jsonb, by_source jsonb, pending_oldest_seconds float8,
               due bigint, due_oldest_seconds float8, work_depth bigint, work_oldest_seconds float8, outbox_pending bigint,
               outbox_oldest_seconds float8, outbox_dead bigint, paused_destinations text[], dead_letters_last_day bigint,
               dead_letters_newest_at timestamptz, sources_estimated boolean)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
    WITH groups AS MATERIALIZED (
        SELECT c.decision, c.execution_status, c.selected_action_id, count(*) AS n FROM public.recovery_candidates c GROUP BY 1, 2, 3
    ), total AS MATERIALIZED (
        SELECT coalesce(sum(g.n), 0)::bigint AS n FROM groups g
    ), sources AS MATERIALIZED (
        SELECT x.source, x.n, row_number() OVER (ORDER BY x.n DESC, x.source) AS nth
        FROM (SELECT left(coalesce(c.source, ''), 200) AS source, count(*) AS n
              FROM public.recovery_candidates c WHERE (SELECT t.n <= 20000 FROM total t) GROUP BY 1
              UNION ALL
              SELECT left(f.source, 200), sum(round(f.part * t.n))::bigint
              FROM total t, pg_stats s, unnest(s.most_common_vals::text::text[], s.most_common_freqs) AS f(source, part)
              WHERE t.n > 20000 AND s.schemaname = 'public' AND s.tablename = 'recovery_candidates' AND s.attname = 'source' GROUP BY 1) x
    ), shown AS (
        SELECT s.source, s.n, s.nth FROM sources s WHERE s.nth <= p_sources
    ), moment AS (SELECT clock_timestamp() AS now)
    SELECT t.n,
           (SELECT coalesce(jsonb_object_agg(x.key, x.n), '{}') FROM (SELECT g.decision AS key, sum(g.n) AS n FROM groups g GROUP BY 1) x),
           (SELECT coalesce(jsonb_object_agg(x.key, x.n), '{}')
            FROM (SELECT coalesce(g.execution_status, 'none') AS key, sum(g.n) AS n FROM groups g GROUP BY 1) x),
           (SELECT coalesce(jsonb_object_agg(x.key, x.n), '{}')
            FROM (SELECT coalesce(a.action_code, 'none') AS key, sum(g.n) AS n
                  FROM groups g LEFT JOIN m10_recovery.suggestion_action a ON a.id = g.selected_action_id GROUP BY 1) x),
           (SELECT coalesce(jsonb_agg(jsonb_build_array(x.source, x.n) ORDER BY x.nth), '[]')
            FROM (SELECT s.source, s.n, s.nth FROM shown s
                  UNION ALL
                  SELECT NULL, r.n, p_sources + 1 FROM (SELECT t.n - coalesce(sum(s.n), 0) AS n FROM shown s) r WHERE r.n > 0) x),
           (SELECT coalesce(extract(epoch FROM m.now - min(c.created_at)), 0)::float8 FROM public.recovery_candidates c
            WHERE c.decision = 'pending' AND isfinite(c.created_at)),
           d.evaluations_due, d.evaluations_due_oldest_seconds, d.work_depth, d.work_oldest_seconds, d.outbox_pending, d.outbox_oldest_seconds,
           (SELECT count(*) FROM m10_recovery.outbox o WHERE o.dead_at IS NOT NULL),
           ARRAY(SELECT p.name FROM m10_recovery.paused_destination p ORDER BY p.name LIMIT 100),
           (SELECT count(*) FROM m10_recovery.dead_letter_archive l WHERE l.archived_at > m.now - interval '1 day'),
           m10_recovery.readable((SELECT max(l.archived_at) FROM m10_recovery.dead_letter_archive l)),
           t.n > 20000
    FROM m10_recovery.metrics_depths d, moment m, total t
$$;

-- What came of actions for failures like this one, the newest first: those of the same fingerprint before those of the same error code
-- alone. Only what is known: silence says nothing.
CREATE FUNCTION m10_recovery.similar_cases(p_id bigint, p_limit int)
RETURNS TABLE (candidate_id bigint, is_same boolean, action text, outcome text, decided_by text, closed_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
    WITH c AS MATERIALIZED (
        SELECT left(r.error_code, 200) AS code, left(r.fingerprint, 200) AS fingerprint FROM public.recovery_candidates r WHERE r.id = p_id
    ), same AS (
        SELECT e.* FROM c, LATERAL (
            SELECT x.* FROM m10_recovery.execution x
            WHERE left(x.fingerprint, 200) = c.fingerprint AND x.outcome <> 'unknown' ORDER BY x.closed_at DESC LIMIT p_limit) e
    ), alike AS (
        SELECT e.* FROM c, LATERAL (
            SELECT x.* FROM m10_recovery.execution x
            WHERE left(x.error_code, 200) = c.code AND left(x.fingerprint, 200) IS DISTINCT FROM c.fingerprint AND x.outcome <> 'unknown'
            ORDER BY x.closed_at DESC LIMIT p_limit) e
    )
    SELECT k.candidate_id, k.is_same, a.action_code, k.outcome, left(k.begun_by, 500), m10_recovery.readable(k.closed_at)
    FROM (SELECT s.*, true AS is_same FROM same s UNION ALL SELECT s.*, false FROM alike s) k
    LEFT JOIN m10_recovery.suggestion_action a ON a.id = k.action_id
    ORDER BY k.is_same DESC, k.closed_at DESC LIMIT p_limit
$$;
