-- The one way in. Every accepted idempotency key is remembered, first thing in the same transaction, so that a repeated key never
-- reaches the upsert. Rows are locked in one order everywhere, (failure_match_id, error_signature), so that batches cannot deadlock.
CREATE TABLE m10_recovery.accepted_key (
    key               uuid PRIMARY KEY,
    failure_match_id  uuid NOT NULL,
    error_signature   text NOT NULL,
    payload_hash      bytea NOT NULL,
    accepted_at       timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ix_accepted_key_age ON m10_recovery.accepted_key USING brin (accepted_at);

-- Counts failures on their candidates and opens those that are new: update first, insert what was missed, so that a repeat burns no id.
-- One row per distinct identity in, one row out. became_due: this transaction made an evaluation due.
CREATE FUNCTION m10_recovery.upsert_candidates(
    p_match_ids uuid[], p_signatures text[], p_counts bigint[], p_suggestions text[], p_confidences real[], p_explains jsonb[],
    p_codes text[], p_messages text[], p_sources text[], p_fingerprints text[], p_created_by text)
RETURNS TABLE (id bigint, failure_match_id uuid, error_signature text, is_insert boolean, occurrence_count bigint, generation int, became_due boolean)
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
    WITH seen AS MATERIALIZED (
        SELECT * FROM unnest(p_match_ids, p_signatures, p_counts, p_suggestions, p_confidences, p_explains, p_codes, p_messages,
                             p_sources, p_fingerprints)
            AS s(match_id, signature, count, suggestion, confidence, explain, code, message, source, fingerprint)
    ), locked AS MATERIALIZED (
        SELECT c.id, c.failure_match_id, c.error_signature, c.generation
        FROM public.recovery_candidates c JOIN seen s ON c.failure_match_id = s.match_id AND c.error_signature = s.signature
        ORDER BY c.failure_match_id, c.error_signature
        FOR UPDATE OF c
    ), counted AS (
        UPDATE public.recovery_candidates c
        SET occurrence_count = c.occurrence_count + s.count, last_occurrence_at = now(), updated_at = now()
        FROM locked l JOIN seen s ON l.failure_match_id = s.match_id AND l.error_signature = s.signature
        WHERE c.id = l.id
        RETURNING c.id, c.failure_match_id, c.error_signature, false AS is_insert, c.occurrence_count, c.generation,
                  c.generation > l.generation AS became_due
    ), opened AS (
        INSERT INTO public.recovery_candidates AS c
            (failure_match_id, error_signature, occurrence_count, suggestion, confidence, explain, error_code, error_message, source,
             fingerprint, created_by)
        SELECT s.match_id, s.signature, s.count, s.suggestion, s.confidence, s.explain, s.code, s.message, s.source, s.fingerprint, p_created_by
        FROM seen s
        WHERE NOT EXISTS (SELECT FROM locked l WHERE l.failure_match_id = s.match_id AND l.error_signature = s.signature)
        ORDER BY s.match_id, s.signature
        ON CONFLICT (failure_match_id, error_signature) DO UPDATE
        SET occurrence_count = c.occurrence_count + EXCLUDED.occurrence_count, last_occurrence_at = now(), updated_at = now()
        -- Where another transaction opened it first, this may tell of its generation once more: one message too many, never too few.
        RETURNING c.id, c.failure_match_id, c.error_signature, (c.xmax = 0) AS is_insert, c.occurrence_count, c.generation,
                  c.generation > c.evaluated_generation AND (c.xmax = 0 OR c.due_at >= now()) AS became_due
    )
    SELECT * FROM counted UNION ALL SELECT * FROM opened
$$;

CREATE FUNCTION public.upsert_recovery_candidate(
    p_failure_match_id uuid, p_suggestion text, p_confidence real, p_explain jsonb, p_error_code text, p_error_signature text,
    p_source text, p_created_by text)
RETURNS TABLE (id bigint, is_insert boolean, occurrence_count bigint)
LANGUAGE sql SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
    SELECT u.id, u.is_insert, u.occurrence_count
    FROM m10_recovery.upsert_candidates(
        ARRAY[p_failure_match_id], ARRAY[coalesce(p_error_signature, '')], '{1}', ARRAY[coalesce(p_suggestion, '')],
        ARRAY[coalesce(p_confidence, 0)::real], ARRAY[coalesce(p_explain, '{}')], ARRAY[p_error_code], ARRAY[NULL::text],
        ARRAY[p_source], ARRAY[NULL::text], p_created_by) u
$$;
GRANT EXECUTE ON FUNCTION public.upsert_recovery_candidate TO m10_app, m10_ops;

-- Accepts a batch of failures; one row out per item, in the order of the arrays (item counts from 1).
-- counted: false only for an idempotency key seen before (key_conflict: it came with another payload then).
CREATE FUNCTION m10_recovery.ingest_failures(
    p_keys uuid[], p_match_ids uuid[], p_signatures text[], p_codes text[], p_messages text[], p_sources text[], p_fingerprints text[],
    p_hashes bytea[], p_payloads text[], p_created_by text)
RETURNS TABLE (item int, candidate_id bigint, occurrence_count bigint, opened boolean, counted boolean, key_conflict boolean,
               generation int, became_due boolean)
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
    SELECT i.item::int, c.id, c.occurrence_count,
           coalesce(w.opened, false) AND row_number() OVER (PARTITION BY c.id, i.fresh ORDER BY i.item) = 1 AND i.fresh,
           i.fresh,
           k.payload_hash IS DISTINCT FROM i.hash AND i.key IS NOT NULL,
           c.generation,
           coalesce(w.due, false) AND i.fresh
    FROM (SELECT n.*, n.key IS NULL OR n.item = ANY (v_fresh) AS fresh
          FROM unnest(p_keys, p_match_ids, p_signatures, p_hashes) WITH ORDINALITY AS n(key, match_id, signature, hash, item)) i
    LEFT JOIN m10_recovery.accepted_key k ON k.key = i.key
    LEFT JOIN public.recovery_candidates c
        ON c.failure_match_id = coalesce(k.failure_match_id, i.match_id) AND c.error_signature = coalesce(k.error_signature, i.signature)
    LEFT JOIN unnest(v_ids, v_opened, v_due) AS w(id, opened, due) ON w.id = c.id
    ORDER BY i.item;
END
$$;
