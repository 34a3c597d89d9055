-- What a decision is made from, read with plans that are made once for each connection: for a single candidate, planning took two thirds of the
-- time. As in 0020 but for that.

CREATE OR REPLACE FUNCTION m10_recovery.past_cases(p_codes text[], p_fingerprints text[], p_at timestamptz)
RETURNS TABLE (kind text, name text, cases text)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, m10_recovery, pg_temp SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT 'code', k.name, jsonb_agg(jsonb_build_array(a.action_code, o.outcome = 'helped', extract(epoch FROM p_at - o.closed_at)::float8))::text
    FROM (SELECT DISTINCT left(g.code, 200) AS name FROM unnest(p_codes) AS g(code)) k,
         LATERAL (SELECT x.action_id, x.outcome, x.closed_at FROM m10_recovery.execution_outcome x
                  WHERE left(x.error_code, 200) = k.name AND x.outcome <> 'unknown' AND isfinite(x.closed_at)
                  ORDER BY x.closed_at DESC LIMIT 50) o
    JOIN m10_recovery.suggestion_action a ON a.id = o.action_id
    GROUP BY k.name
    UNION ALL
    SELECT 'fp', k.name, jsonb_agg(jsonb_build_array(a.action_code, o.outcome = 'helped', extract(epoch FROM p_at - o.closed_at)::float8))::text
    FROM (SELECT DISTINCT left(g.fingerprint, 200) AS name FROM unnest(p_fingerprints) AS g(fingerprint)) k,
         LATERAL (SELECT x.action_id, x.outcome, x.closed_at FROM m10_recovery.execution_outcome x
                  WHERE left(x.fingerprint, 200) = k.name AND x.outcome <> 'unknown' AND isfinite(x.closed_at)
                  ORDER BY x.closed_at DESC LIMIT 50) o
    JOIN m10_recovery.suggestion_action a ON a.id = o.action_id
    GROUP BY k.name;
END
$$;

CREATE OR REPLACE FUNCTION m10_recovery.evaluation_inputs(p_ids bigint[], p_due_only boolean DEFAULT true)
RETURNS SETOF m10_recovery.evaluation_input
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, m10_recovery, pg_temp SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
    v_at timestamptz := clock_timestamp();
    v_windows int[] := ARRAY(SELECT DISTINCT w FROM m10_recovery.settings s, unnest(s.rate_windows) w ORDER BY w);
BEGIN
    RETURN QUERY
    WITH wanted AS MATERIALIZED (
        SELECT c.id, c.generation, c.evaluated_generation, c.error_code,
               CASE WHEN length(c.error_message) > 16384 THEN left(c.error_message, 8192) || E'\n' || right(c.error_message, 8192)
                    ELSE c.error_message END AS error_message,
               c.source, c.fingerprint, c.occurrence_count, v_at,
               CASE WHEN c.last_executed_at >= '0001-01-02 00:00Z' AND c.last_executed_at < '9999-12-30 00:00Z'
                    THEN v_at - c.last_executed_at END AS since_executed,
               CASE WHEN c.created_at >= '0001-01-02 00:00Z' AND c.created_at < '9999-12-30 00:00Z' THEN v_at - c.created_at END AS age,
               CASE WHEN v_windows = '{}' THEN '[]' ELSE
                   (SELECT jsonb_agg(jsonb_build_array(w, round(m10_recovery.rate_at(c.rate_buckets, w, v_at)::numeric, 2)) ORDER BY w)
                    FROM unnest(v_windows) AS w) END AS rates
        FROM public.recovery_candidates c
        WHERE c.id = ANY (p_ids)
    ), known AS MATERIALIZED (
        SELECT p.* FROM (SELECT array_agg(w.error_code) AS codes, array_agg(w.fingerprint) AS fingerprints
                         FROM wanted w WHERE NOT p_due_only OR w.generation > w.evaluated_generation) g,
                        LATERAL m10_recovery.past_cases(g.codes, g.fingerprints, v_at) p
    )
    SELECT w.*, coalesce(code.cases, '[]'), coalesce(fp.cases, '[]')
    FROM wanted w
    LEFT JOIN known code ON code.kind = 'code' AND code.name = left(w.error_code, 200)
    LEFT JOIN known fp ON fp.kind = 'fp' AND fp.name = left(w.fingerprint, 200);
END
$$;
