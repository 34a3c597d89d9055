-- Reading: what a person or a program wants to know of candidates. All of it is bounded, and nothing here writes.

-- A moment that every reader can take: other programs may have written infinity, or a year that no calendar library knows.
CREATE FUNCTION m10_recovery.readable(p_at timestamptz) RETURNS timestamptz
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
    SELECT CASE WHEN p_at >= '0001-01-02 00:00Z' AND p_at < '9999-12-30 00:00Z' THEN p_at END
$$;

-- A candidate as it stands in a list: long texts are cut.
CREATE VIEW m10_recovery.candidate_summary AS
    SELECT c.id, c.failure_match_id, c.error_signature, left(c.error_code, 200) AS error_code, left(c.error_message, 500) AS error_message,
           left(c.source, 200) AS source, c.occurrence_count, m10_recovery.readable(c.created_at) AS first_seen,
           m10_recovery.readable(c.last_occurrence_at) AS last_seen, left(c.suggestion, 1000) AS suggestion, a.action_code AS action,
           c.confidence, c.decision, left(c.approved_by_human, 500) AS decided_by, m10_recovery.readable(c.approved_at) AS decided_at,
           c.execution_status, c.round, m10_recovery.readable(c.closed_at) AS closed_at, c.generation, c.evaluated_generation,
           c.generation > c.evaluated_generation AS due, left(c.evaluation_error, 1000) AS evaluation_error
    FROM public.recovery_candidates c LEFT JOIN m10_recovery.suggestion_action a ON a.id = c.selected_action_id;

-- None of these columns changes with an occurrence: counting stays a heap-only update. Cut to what an index can hold for sure.
CREATE INDEX ix_rc_source ON public.recovery_candidates (left(source, 200), id);
CREATE INDEX ix_rc_code ON public.recovery_candidates (left(error_code, 200), id);
CREATE INDEX ix_rc_execution ON public.recovery_candidates (execution_status, id)
    WHERE execution_status IN ('pending', 'executing', 'failed', 'rolled_back', 'skipped');
CREATE INDEX ix_outbox_candidate ON m10_recovery.outbox (candidate_id, id) WHERE candidate_id IS NOT NULL;
CREATE INDEX ix_outbox_dead ON m10_recovery.outbox (dead_at) WHERE dead_at IS NOT NULL;
CREATE INDEX ix_dead_letter_candidate ON m10_recovery.dead_letter_archive (candidate_id, id) WHERE candidate_id IS NOT NULL;

-- A page of candidates. A condition that is NULL is none; p_after is the id of the last one seen, for the orders newest and oldest.
-- One row at least: without a match its candidate is NULL, so that the total is told all the same.
-- Planned for the values of each call (plan_cache_mode), so that an absent condition costs nothing and a present one finds its index.
CREATE FUNCTION m10_recovery.candidates_page(
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
    WITH matching AS NOT MATERIALIZED (
        SELECT c.id, c.occurrence_count FROM public.recovery_candidates c
        WHERE (p_decision IS NULL OR c.decision = p_decision)
          AND (p_execution_status IS NULL OR c.execution_status = p_execution_status)
          AND (p_source IS NULL OR left(c.source, 200) = p_source)
          AND (p_error_code IS NULL OR left(c.error_code, 200) = p_error_code)
          AND (p_action IS NULL OR c.selected_action_id = v_action)
          AND (p_text IS NULL OR strpos(lower(c.error_message COLLATE "C"), v_text) > 0 OR strpos(lower(c.error_code COLLATE "C"), v_text) > 0)
          AND (p_since IS NULL OR c.last_occurrence_at >= p_since)
          AND (p_due IS NULL OR (c.generation > c.evaluated_generation) = p_due)
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

-- All about one candidate; of what there may be many of, the newest p_newest. JSON as text: its reader may have to refuse what it says.
CREATE FUNCTION m10_recovery.candidate_account(p_id bigint, p_newest int)
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
           (SELECT coalesce(jsonb_agg(jsonb_build_object('event_type', p.event_type, 'details', p.details::text, 'action', a.action_code,
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

-- Every action, active or not, with what came of it.
CREATE FUNCTION m10_recovery.listed_actions()
RETURNS TABLE (action_code text, name text, action_type text, is_automated boolean, requires_approval boolean, priority int, is_active boolean,
               total_applications bigint, successful_applications bigint, success_rate real)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
    SELECT a.action_code, a.name, a.action_type, a.is_automated, a.requires_approval, a.priority, a.is_active, a.total_applications,
           a.successful_applications, a.success_rate
    FROM m10_recovery.suggestion_action a ORDER BY a.priority DESC, a.action_code LIMIT 1000
$$;

-- Counts and oldest ages. Of sources the p_sources most frequent ones, the rest as one with the name NULL at the end.
CREATE FUNCTION m10_recovery.recovery_stats(p_sources int)
RETURNS TABLE (candidates bigint, by_decision jsonb, by_execution jsonb, by_action jsonb, by_source jsonb, pending_oldest_seconds float8,
               due bigint, due_oldest_seconds float8, work_depth bigint, work_oldest_seconds float8, outbox_pending bigint,
               outbox_oldest_seconds float8, outbox_dead bigint, paused_destinations text[], dead_letters_last_day bigint,
               dead_letters_newest_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
    WITH groups AS MATERIALIZED (
        SELECT c.decision, c.execution_status, c.selected_action_id, left(coalesce(c.source, ''), 200) AS source, count(*) AS n
        FROM public.recovery_candidates c GROUP BY 1, 2, 3, 4
    ), sources AS (
        SELECT g.source, sum(g.n) AS n, row_number() OVER (ORDER BY sum(g.n) DESC, g.source) AS nth FROM groups g GROUP BY g.source
    ), moment AS (SELECT clock_timestamp() AS now)
    SELECT (SELECT coalesce(sum(g.n), 0)::bigint FROM groups g),
           (SELECT coalesce(jsonb_object_agg(x.key, x.n), '{}') FROM (SELECT g.decision AS key, sum(g.n) AS n FROM groups g GROUP BY 1) x),
           (SELECT coalesce(jsonb_object_agg(x.key, x.n), '{}')
            FROM (SELECT coalesce(g.execution_status, 'none') AS key, sum(g.n) AS n FROM groups g GROUP BY 1) x),
           (SELECT coalesce(jsonb_object_agg(x.key, x.n), '{}')
            FROM (SELECT coalesce(a.action_code, 'none') AS key, sum(g.n) AS n
                  FROM groups g LEFT JOIN m10_recovery.suggestion_action a ON a.id = g.selected_action_id GROUP BY 1) x),
           (SELECT coalesce(jsonb_agg(jsonb_build_array(x.source, x.n) ORDER BY x.nth), '[]')
            FROM (SELECT s.source, s.n, s.nth FROM sources s WHERE s.nth <= p_sources
                  UNION ALL SELECT NULL, sum(s.n), p_sources + 1 FROM sources s WHERE s.nth > p_sources HAVING count(*) > 0) x),
           (SELECT coalesce(extract(epoch FROM m.now - min(c.created_at)), 0)::float8 FROM public.recovery_candidates c
            WHERE c.decision = 'pending' AND isfinite(c.created_at)),
           d.evaluations_due, d.evaluations_due_oldest_seconds, d.work_depth, d.work_oldest_seconds, d.outbox_pending, d.outbox_oldest_seconds,
           (SELECT count(*) FROM m10_recovery.outbox o WHERE o.dead_at IS NOT NULL),
           ARRAY(SELECT p.name FROM m10_recovery.paused_destination p ORDER BY p.name LIMIT 100),
           (SELECT count(*) FROM m10_recovery.dead_letter_archive l WHERE l.archived_at > m.now - interval '1 day'),
           m10_recovery.readable((SELECT max(l.archived_at) FROM m10_recovery.dead_letter_archive l))
    FROM m10_recovery.metrics_depths d, moment m
$$;

-- What evaluation_inputs says, for a dry run: of one candidate by its id or else by its identity, due or not. Always a row: without a
-- candidate its columns are NULL, and the history is that of p_code.
CREATE FUNCTION m10_recovery.preview_input(p_candidate_id bigint, p_match_id uuid, p_signature text, p_code text)
RETURNS TABLE (id bigint, generation int, evaluated_generation int, error_code text, error_message text, source text, fingerprint text,
               occurrence_count bigint, since_executed interval, history jsonb)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
    SELECT c.id, c.generation, c.evaluated_generation, c.error_code, c.error_message, c.source, c.fingerprint, c.occurrence_count,
           clock_timestamp() - c.last_executed_at, h.history
    FROM (SELECT 1) one
    LEFT JOIN public.recovery_candidates c ON c.id = p_candidate_id OR (c.failure_match_id = p_match_id AND c.error_signature = p_signature)
    CROSS JOIN LATERAL (
        SELECT coalesce(jsonb_agg(jsonb_build_array(a.action_code, past.succeeded, past.age_seconds)), '[]') AS history
        FROM (SELECT p.selected_action_id, p.execution_status = 'succeeded' AS succeeded,
                     extract(epoch FROM clock_timestamp() - p.closed_at)::float8 AS age_seconds
              FROM public.recovery_candidates p
              WHERE left(p.error_code, 200) = left(coalesce(c.error_code, p_code), 200)
                AND p.execution_status IN ('succeeded', 'failed') AND isfinite(p.closed_at)
              ORDER BY p.closed_at DESC LIMIT 50) past
        JOIN m10_recovery.suggestion_action a ON a.id = past.selected_action_id) h
$$;

CREATE INDEX ix_candidates_archive_identity ON m10_recovery.recovery_candidates_archive (failure_match_id, error_signature);

-- Accepts a batch of failures; one row out per item, in the order of the arrays (item counts from 1).
-- counted: false only for an idempotency key seen before (key_conflict: it came with another payload then). Then the answer is about the
-- candidate that the key was counted on, its identity included, also where that one lies in the archive by now; where even the archive
-- was emptied, its id and count are 0.
DROP FUNCTION m10_recovery.ingest_failures;
CREATE FUNCTION m10_recovery.ingest_failures(
    p_keys uuid[], p_match_ids uuid[], p_signatures text[], p_codes text[], p_messages text[], p_sources text[], p_fingerprints text[],
    p_hashes bytea[], p_payloads text[], p_created_by text)
RETURNS TABLE (item int, candidate_id bigint, occurrence_count bigint, opened boolean, counted boolean, key_conflict boolean,
               generation int, became_due boolean, failure_match_id uuid)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
#variable_conflict use_column
DECLARE
    v_fresh int[];      -- items whose key is remembered from now on
    v_ids bigint[];     -- the candidates that were written, with what happened to each
    v_opened boolean[];
    v_due boolean[];
BEGIN
    WITH first AS (
        SELECT DISTINCT ON (k.key) k.key, k.match_id, k.signature, k.hash, k.item
        FROM unnest(p_keys, p_match_ids, p_signatures, p_hashes) WITH ORDINALITY AS k(key, match_id, signature, hash, item)
        WHERE k.key IS NOT NULL
        ORDER BY k.key, k.item
    ), remembered AS (
        INSERT INTO m10_recovery.accepted_key (key, failure_match_id, error_signature, payload_hash)
        SELECT f.key, f.match_id, f.signature, f.hash FROM first f ORDER BY f.key
        ON CONFLICT (key) DO NOTHING
        RETURNING key
    )
    SELECT coalesce(array_agg(f.item::int), '{}') INTO v_fresh FROM first f JOIN remembered r USING (key);

    WITH fresh AS (
        SELECT i.*, row_number() OVER (PARTITION BY i.match_id, i.signature ORDER BY i.item) AS nth,
               count(*) OVER (PARTITION BY i.match_id, i.signature) AS count
        FROM unnest(p_keys, p_match_ids, p_signatures, p_codes, p_messages, p_sources, p_fingerprints, p_payloads) WITH ORDINALITY
            AS i(key, match_id, signature, code, message, source, fingerprint, payload, item)
        WHERE i.key IS NULL OR i.item = ANY (v_fresh)
    ), one AS MATERIALIZED (
        SELECT * FROM fresh WHERE nth = 1
    ), columns AS (
        SELECT array_agg(match_id) AS match_ids, array_agg(signature) AS signatures, array_agg(count) AS counts,
               array_agg(code) AS codes, array_agg(message) AS messages, array_agg(source) AS sources,
               array_agg(fingerprint) AS fingerprints, array_fill(''::text, ARRAY[count(*)::int]) AS suggestions,
               array_fill(0::real, ARRAY[count(*)::int]) AS confidences, array_fill('{}'::jsonb, ARRAY[count(*)::int]) AS explains
        FROM one HAVING count(*) > 0
    ), written AS MATERIALIZED (
        SELECT u.* FROM columns c, LATERAL m10_recovery.upsert_candidates(
            c.match_ids, c.signatures, c.counts, c.suggestions, c.confidences, c.explains, c.codes, c.messages, c.sources, c.fingerprints,
            p_created_by) u
    ), inputs AS (
        INSERT INTO m10_recovery.suggestion_input (suggestion_id, input_type, raw_value, normalized_value)
        SELECT w.id, 'failure', o.payload, o.message
        FROM written w JOIN one o ON o.match_id = w.failure_match_id AND o.signature = w.error_signature
        WHERE w.is_insert
    )
    SELECT array_agg(w.id), array_agg(w.is_insert), array_agg(w.became_due) INTO v_ids, v_opened, v_due FROM written w;

    RETURN QUERY
    SELECT i.item::int, coalesce(c.id, a.id, 0), coalesce(c.occurrence_count, a.occurrence_count, 0),
           coalesce(w.opened, false) AND row_number() OVER (PARTITION BY c.id, i.fresh ORDER BY i.item) = 1 AND i.fresh,
           i.fresh,
           k.payload_hash IS DISTINCT FROM i.hash AND i.key IS NOT NULL,
           coalesce(c.generation, 0),
           coalesce(w.due, false) AND i.fresh,
           coalesce(k.failure_match_id, i.match_id)
    FROM (SELECT n.*, n.key IS NULL OR n.item = ANY (v_fresh) AS fresh
          FROM unnest(p_keys, p_match_ids, p_signatures, p_hashes) WITH ORDINALITY AS n(key, match_id, signature, hash, item)) i
    LEFT JOIN m10_recovery.accepted_key k ON k.key = i.key
    LEFT JOIN public.recovery_candidates c
        ON c.failure_match_id = coalesce(k.failure_match_id, i.match_id) AND c.error_signature = coalesce(k.error_signature, i.signature)
    LEFT JOIN LATERAL (
        SELECT old.id, old.occurrence_count FROM m10_recovery.recovery_candidates_archive old
        WHERE c.id IS NULL AND old.failure_match_id = k.failure_match_id AND old.error_signature = k.error_signature
        ORDER BY old.id DESC LIMIT 1) a ON true
    LEFT JOIN unnest(v_ids, v_opened, v_due) AS w(id, opened, due) ON w.id = c.id
    ORDER BY i.item;
END
$$;
