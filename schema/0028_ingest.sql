-- Ingest in one pass: a batch is one text in, and each candidate is written once, in the one order in which rows are locked everywhere.

-- Counts what was seen, whoever counts it; not asked where the statement knows that no rate is wanted (upsert_candidates says so).
DROP TRIGGER counts ON public.recovery_candidates;
CREATE TRIGGER counts BEFORE INSERT OR UPDATE OF occurrence_count ON public.recovery_candidates
    FOR EACH ROW WHEN (current_setting('m10_recovery.rates', true) IS DISTINCT FROM 'none')
    EXECUTE FUNCTION m10_recovery.candidate_counts();

-- As before, but known and new candidates are written in one pass, in the order of their identity: of two batches the one that comes first to
-- a candidate comes first to all that they share, so that no two of them wait for each other. A known candidate brings its id, negated: so a
-- repeat burns none, and where the look for a conflict misses a row that is written anew at this very moment, no id is there twice: the index
-- of the identity sees it then. NULL for the suggestion, the confidence or the explanation: there is none yet.
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
        LEFT JOIN public.recovery_candidates c ON c.failure_match_id = s.match_id AND c.error_signature = s.signature
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

-- Accepts a batch of failures; one row out per item, in any order (item counts from 1).
-- p_failures: an array of [key, match id, signature, code, message, source, fingerprint, hash, payload], key and hash (hexadecimal) null where
-- the caller sent no key; the payload is any JSON and kept as it is written.
-- counted: false only for an idempotency key seen before (key_conflict: it came with another payload then). Then the answer is about the
-- candidate that the key was counted on, and has its match id, also where that one lies in the archive by now; where even the archive was
-- emptied, its id and count are 0.
DROP FUNCTION m10_recovery.ingest_failures;
CREATE FUNCTION m10_recovery.ingest_failures(p_failures json, p_created_by text)
RETURNS TABLE (item int, candidate_id bigint, occurrence_count bigint, opened boolean, counted boolean, key_conflict boolean,
               generation int, became_due boolean, failure_match_id uuid)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, m10_recovery, pg_temp SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
    v_fresh int[];      -- items whose key is remembered from now on
    v_answered int;
BEGIN
    WITH first AS MATERIALIZED (
        SELECT DISTINCT ON (k.key) k.*
        FROM (SELECT f.item::int, (f.value ->> 0)::uuid AS key, f.value FROM json_array_elements(p_failures) WITH ORDINALITY AS f(value, item)) k
        WHERE k.key IS NOT NULL
        ORDER BY k.key, k.item
    ), remembered AS (
        INSERT INTO m10_recovery.accepted_key (key, failure_match_id, error_signature, payload_hash)
        SELECT f.key, (f.value ->> 1)::uuid, f.value ->> 2, decode(f.value ->> 7, 'hex') FROM first f ORDER BY f.key
        ON CONFLICT (key) DO NOTHING
        RETURNING key
    )
    SELECT coalesce(array_agg(f.item), '{}') INTO v_fresh FROM first f JOIN remembered r USING (key);

    RETURN QUERY
    WITH fresh AS MATERIALIZED (
        SELECT f.item::int, (f.value ->> 1)::uuid AS match_id, f.value ->> 2 AS signature, f.value
        FROM json_array_elements(p_failures) WITH ORDINALITY AS f(value, item)
        WHERE f.value ->> 0 IS NULL OR f.item = ANY (v_fresh)
    ), one AS MATERIALIZED (  -- the first of those that are the same, with the items of all
        SELECT DISTINCT ON (f.match_id, f.signature) f.match_id, f.signature, array_agg(f.item) OVER same AS items, count(*) OVER same AS count,
               f.value ->> 3 AS code, f.value ->> 4 AS message, f.value ->> 5 AS source, f.value ->> 6 AS fingerprint, f.value -> 8 AS payload
        FROM fresh f
        WINDOW same AS (PARTITION BY f.match_id, f.signature ORDER BY f.item ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)
        ORDER BY f.match_id, f.signature, f.item
    ), columns AS (
        SELECT array_agg(match_id) AS match_ids, array_agg(signature) AS signatures, array_agg(count) AS counts, array_agg(code) AS codes,
               array_agg(message) AS messages, array_agg(source) AS sources, array_agg(fingerprint) AS fingerprints
        FROM one HAVING count(*) > 0
    ), written AS MATERIALIZED (
        SELECT u.*, o.items, o.payload, o.message
        FROM columns c,
             LATERAL m10_recovery.upsert_candidates(c.match_ids, c.signatures, c.counts, NULL, NULL, NULL, c.codes, c.messages, c.sources,
                                                    c.fingerprints, p_created_by) u
             JOIN one o ON o.match_id = u.failure_match_id AND o.signature = u.error_signature
    ), inputs AS (
        INSERT INTO m10_recovery.suggestion_input (suggestion_id, input_type, raw_value, normalized_value)
        SELECT w.id, 'failure', w.payload, w.message FROM written w WHERE w.is_insert
    )
    SELECT i.item, w.id, w.occurrence_count, w.is_insert AND i.nth = 1, true, false, w.generation, w.became_due, w.failure_match_id
    FROM written w, LATERAL unnest(w.items) WITH ORDINALITY AS i(item, nth);

    GET DIAGNOSTICS v_answered = ROW_COUNT;
    IF v_answered = json_array_length(p_failures) THEN
        RETURN;
    END IF;
    RETURN QUERY
    SELECT r.item, coalesce(c.id, a.id, 0), coalesce(c.occurrence_count, a.occurrence_count, 0), false, false,
           k.payload_hash IS DISTINCT FROM r.hash, coalesce(c.generation, 0), false, coalesce(k.failure_match_id, r.match_id)
    FROM (SELECT f.item::int, (f.value ->> 0)::uuid AS key, (f.value ->> 1)::uuid AS match_id, decode(f.value ->> 7, 'hex') AS hash
          FROM json_array_elements(p_failures) WITH ORDINALITY AS f(value, item)
          WHERE f.value ->> 0 IS NOT NULL AND f.item <> ALL (v_fresh)) r
    LEFT JOIN m10_recovery.accepted_key k ON k.key = r.key
    LEFT JOIN public.recovery_candidates c ON c.failure_match_id = k.failure_match_id AND c.error_signature = k.error_signature
    LEFT JOIN LATERAL (
        SELECT old.id, old.occurrence_count FROM m10_recovery.recovery_candidates_archive old
        WHERE c.id IS NULL AND old.failure_match_id = k.failure_match_id AND old.error_signature = k.error_signature
        ORDER BY old.id DESC LIMIT 1) a ON true;
END
$$;
