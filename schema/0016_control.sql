-- Pauses: of a part of the engine in every process of the installation, so that a restart, or another process, does not undo them.

-- What was paused and resumed, by whom and why: rows are added, never changed.
CREATE TABLE m10_recovery.control_log (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    part        text NOT NULL CHECK (part IN ('intake', 'delivery', 'jobs')),
    change      text NOT NULL CHECK (change IN ('paused', 'resumed')),
    changed_by  text NOT NULL CHECK (length(changed_by) BETWEEN 1 AND 500),
    reason      text CHECK (length(reason) <= 1000),
    until       timestamptz,
    changed_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);
REVOKE UPDATE, DELETE ON m10_recovery.control_log FROM m10_ops;

-- Pauses parts for `p_for`, or until resumed; a part that is paused already gets the new end, reason and name.
CREATE FUNCTION m10_recovery.pause_parts(p_parts text[], p_by text, p_reason text, p_for interval)
RETURNS TABLE (part text, paused_by text, reason text, paused_at timestamptz, until timestamptz)
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
    WITH now AS (SELECT clock_timestamp() AS at), logged AS (
        INSERT INTO m10_recovery.control_log (part, change, changed_by, reason, until, changed_at)
        SELECT DISTINCT p, 'paused', p_by, p_reason, now.at + p_for, now.at FROM unnest(p_parts) p, now
    )
    INSERT INTO m10_recovery.control AS c (part, paused_by, reason, paused_at, until)
    SELECT DISTINCT p, p_by, p_reason, now.at, now.at + p_for FROM unnest(p_parts) p, now ORDER BY p
    ON CONFLICT (part) DO UPDATE
    SET paused_by = excluded.paused_by, reason = excluded.reason, until = excluded.until,
        paused_at = CASE WHEN c.until <= excluded.paused_at THEN excluded.paused_at ELSE c.paused_at END
    RETURNING c.part, c.paused_by, c.reason, c.paused_at, c.until
$$;

-- Ends pauses; which of the parts were paused. A pause that had ended by itself is only cleared away.
CREATE FUNCTION m10_recovery.resume_parts(p_parts text[], p_by text, p_reason text) RETURNS SETOF text
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
    WITH ended AS (
        DELETE FROM m10_recovery.control c WHERE c.part = ANY (p_parts) RETURNING c.part, c.until
    )
    INSERT INTO m10_recovery.control_log (part, change, changed_by, reason)
    SELECT e.part, 'resumed', p_by, p_reason FROM ended e WHERE e.until IS NULL OR e.until > clock_timestamp() ORDER BY e.part
    RETURNING part
$$;
REVOKE EXECUTE ON FUNCTION m10_recovery.pause_parts, m10_recovery.resume_parts FROM m10_app;
