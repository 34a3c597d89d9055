-- Operations: the tracked materialized view and retention. Run by m10_ops; retention archives before it deletes.
CREATE MATERIALIZED VIEW m10_recovery.mv_top_pending AS
    SELECT c.id, c.failure_match_id, c.error_code, c.source, c.suggestion, c.confidence, c.occurrence_count, c.last_occurrence_at, c.created_at
    FROM public.recovery_candidates c
    WHERE c.decision = 'pending'
    ORDER BY c.occurrence_count DESC, c.id
    LIMIT 1000;
CREATE UNIQUE INDEX uq_mv_top_pending ON m10_recovery.mv_top_pending (id);

CREATE TABLE m10_recovery.matview_refresh_log (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    view_name    text NOT NULL,
    started_at   timestamptz NOT NULL,
    duration_ms  int NOT NULL,
    success      boolean NOT NULL,
    error        text
);
CREATE INDEX ix_refresh_log ON m10_recovery.matview_refresh_log (view_name, success, started_at DESC);
INSERT INTO m10_recovery.matview_refresh_log (view_name, started_at, duration_ms, success) VALUES ('mv_top_pending', now(), 0, true);

-- Fresh means: the last refresh that succeeded.
CREATE VIEW m10_recovery.matview_freshness AS
    SELECT v.view_name, extract(epoch FROM clock_timestamp() - ok.started_at)::float8 AS age_seconds, ok.started_at AS last_success,
           last.success AS last_attempt_succeeded, last.error AS last_error
    FROM (VALUES ('mv_top_pending')) AS v(view_name)
    LEFT JOIN LATERAL (SELECT l.started_at FROM m10_recovery.matview_refresh_log l
                       WHERE l.view_name = v.view_name AND l.success ORDER BY l.started_at DESC LIMIT 1) ok ON true
    LEFT JOIN LATERAL (SELECT l.success, l.error FROM m10_recovery.matview_refresh_log l
                       WHERE l.view_name = v.view_name ORDER BY l.id DESC LIMIT 1) last ON true;

CREATE FUNCTION m10_recovery.refresh_mv_tracked(p_view_name text DEFAULT 'mv_top_pending')
RETURNS TABLE (success boolean, duration_ms int, error text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
DECLARE
    v_started timestamptz := clock_timestamp();
    v_error text;
BEGIN
    IF p_view_name IS DISTINCT FROM 'mv_top_pending' THEN
        RAISE EXCEPTION 'unknown materialized view: %', p_view_name USING ERRCODE = '22023';
    END IF;
    BEGIN
        REFRESH MATERIALIZED VIEW CONCURRENTLY m10_recovery.mv_top_pending;
    EXCEPTION WHEN query_canceled OR OTHERS THEN
        v_error := SQLSTATE || ' ' || SQLERRM;
    END;
    RETURN QUERY
    INSERT INTO m10_recovery.matview_refresh_log AS l (view_name, started_at, duration_ms, success, error)
    VALUES (p_view_name, v_started, (extract(epoch FROM clock_timestamp() - v_started) * 1000)::int, v_error IS NULL, v_error)
    RETURNING l.success, l.duration_ms, l.error;
END
$$;

CREATE TABLE m10_recovery.retention_jobs (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name            text NOT NULL UNIQUE,
    last_run        timestamptz,
    rows_archived   bigint NOT NULL DEFAULT 0,
    rows_deleted    bigint NOT NULL DEFAULT 0,
    retention_days  int NOT NULL CHECK (retention_days > 0)
);
INSERT INTO m10_recovery.retention_jobs (name, retention_days) VALUES
    ('provenance_archive', 90), ('candidates_archive', 180), ('inputs_archive', 90), ('dead_letter_archive', 90), ('replay_log', 30),
    ('outbox', 7);

CREATE TABLE m10_recovery.recovery_candidates_archive (LIKE public.recovery_candidates, archived_at timestamptz NOT NULL DEFAULT now());

-- Moves one batch of provenance rows past their age to the archive; how many.
CREATE FUNCTION m10_recovery.archive_provenance(p_older_than interval, p_limit int) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
DECLARE
    v_moved int;
BEGIN
    PERFORM set_config('m10_recovery.archiving', 'on', true);
    WITH old AS (
        SELECT p.id FROM m10_recovery.suggestion_provenance p WHERE p.created_at < clock_timestamp() - p_older_than ORDER BY p.id LIMIT p_limit
    ), gone AS (
        DELETE FROM m10_recovery.suggestion_provenance p USING old WHERE p.id = old.id RETURNING p.*
    ), kept AS (
        INSERT INTO m10_recovery.suggestion_provenance_archive SELECT g.*, now() FROM gone g RETURNING 1
    )
    SELECT count(*)::int INTO v_moved FROM kept;
    PERFORM set_config('m10_recovery.archiving', 'off', true);
    RETURN v_moved;
END
$$;
CREATE FUNCTION m10_recovery.archive_inputs(p_older_than interval, p_limit int) RETURNS int
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
    WITH old AS (
        SELECT i.id FROM m10_recovery.suggestion_input i WHERE i.created_at < clock_timestamp() - p_older_than ORDER BY i.id LIMIT p_limit
    ), gone AS (
        DELETE FROM m10_recovery.suggestion_input i USING old WHERE i.id = old.id RETURNING i.*
    ), kept AS (
        INSERT INTO m10_recovery.suggestion_input_archive SELECT g.*, now() FROM gone g RETURNING 1
    )
    SELECT count(*)::int FROM kept
$$;
-- Candidates that were closed and last seen longer ago: what is left of their rows is archived with them.
CREATE FUNCTION m10_recovery.archive_candidates(p_older_than interval, p_limit int) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
DECLARE
    v_ids bigint[];
BEGIN
    SELECT array_agg(old.id) INTO v_ids
    FROM (SELECT c.id FROM public.recovery_candidates c
          WHERE c.closed_at < clock_timestamp() - p_older_than AND c.last_occurrence_at < clock_timestamp() - p_older_than
          LIMIT p_limit FOR UPDATE SKIP LOCKED) old;
    INSERT INTO m10_recovery.suggestion_input_archive SELECT i.*, now() FROM m10_recovery.suggestion_input i WHERE i.suggestion_id = ANY (v_ids);
    INSERT INTO m10_recovery.suggestion_provenance_archive
    SELECT p.*, now() FROM m10_recovery.suggestion_provenance p WHERE p.suggestion_id = ANY (v_ids);
    INSERT INTO m10_recovery.recovery_candidates_archive SELECT c.*, now() FROM public.recovery_candidates c WHERE c.id = ANY (v_ids);
    PERFORM set_config('m10_recovery.archiving', 'on', true);
    DELETE FROM public.recovery_candidates c WHERE c.id = ANY (v_ids);
    PERFORM set_config('m10_recovery.archiving', 'off', true);
    RETURN coalesce(cardinality(v_ids), 0);
END
$$;
REVOKE EXECUTE ON FUNCTION m10_recovery.archive_candidates, m10_recovery.archive_provenance, m10_recovery.archive_inputs FROM m10_app;
