-- What other programs may write must not stop what is written after it.

-- A moment at which nothing ever is due would hide a candidate from the sweep for ever.
UPDATE public.recovery_candidates SET due_at = clock_timestamp() WHERE NOT (due_at >= '2000-01-01 00:00Z' AND due_at < '2100-01-01 00:00Z');
ALTER TABLE public.recovery_candidates ADD CONSTRAINT due_at_is_a_moment CHECK (due_at >= '2000-01-01 00:00Z' AND due_at < '2100-01-01 00:00Z');

-- As before, but a count that has come to its end stays there, instead of refusing every further report of that failure.
CREATE OR REPLACE FUNCTION m10_recovery.upsert_candidates(
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
        SET occurrence_count = c.occurrence_count + least(s.count, 9223372036854775807 - c.occurrence_count),
            last_occurrence_at = now(), updated_at = now()
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
        SET occurrence_count = c.occurrence_count + least(EXCLUDED.occurrence_count, 9223372036854775807 - c.occurrence_count),
            last_occurrence_at = now(), updated_at = now()
        -- Where another transaction opened it first, this may tell of its generation once more: one message too many, never too few.
        RETURNING c.id, c.failure_match_id, c.error_signature, (c.xmax = 0) AS is_insert, c.occurrence_count, c.generation,
                  c.generation > c.evaluated_generation AND (c.xmax = 0 OR c.due_at >= now()) AS became_due
    )
    SELECT * FROM counted UNION ALL SELECT * FROM opened
$$;
