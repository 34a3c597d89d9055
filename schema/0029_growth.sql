-- What nothing deleted until now, a purge that waits for no replay, and functions that only other functions call.

-- Growth

-- Executions are deleted by queries/delete_executions.sql. Of a failure that comes back for ever only: what belongs to others goes with its
-- candidate. Written when a candidate begins a round beyond its fiftieth, and by nothing else.
CREATE INDEX ix_rc_rounds ON public.recovery_candidates (id) WHERE round > 50;

-- First approvals that lapsed longer ago, one batch; how many. Who gave them stands in provenance.
CREATE FUNCTION m10_recovery.delete_approvals(p_older_than interval, p_limit int) RETURNS int
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
    WITH gone AS (
        DELETE FROM m10_recovery.approval
        WHERE id IN (SELECT a.id FROM m10_recovery.approval a WHERE a.expires_at < clock_timestamp() - p_older_than ORDER BY a.id LIMIT p_limit)
        RETURNING 1)
    SELECT count(*)::int FROM gone
$$;
-- What operators changed longer ago, one batch; how many. What is paused now stands in control.
CREATE FUNCTION m10_recovery.delete_control_log(p_older_than interval, p_limit int) RETURNS int
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
    WITH gone AS (
        DELETE FROM m10_recovery.control_log
        WHERE id IN (SELECT l.id FROM m10_recovery.control_log l WHERE l.changed_at < clock_timestamp() - p_older_than ORDER BY l.id LIMIT p_limit)
        RETURNING 1)
    SELECT count(*)::int FROM gone
$$;
REVOKE EXECUTE ON FUNCTION m10_recovery.delete_approvals, m10_recovery.delete_control_log FROM m10_app;

-- Purges

-- As in 0024, but what a replay has in hand is passed over: the two locked dead letters in different orders, and could deadlock.
CREATE OR REPLACE FUNCTION m10_recovery.purge_dead_letters(p_purge bigint, p_limit int) RETURNS int
LANGUAGE plpgsql SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
DECLARE
    v_count int;
BEGIN
    WITH meant AS MATERIALIZED (
        SELECT d.id
        FROM m10_recovery.purgeable((SELECT p.wanted FROM m10_recovery.dead_letter_purge p WHERE p.id = p_purge)) m
        JOIN m10_recovery.dead_letter_archive d ON d.id = m.id AND (d.replayed_at IS NOT NULL) = m.is_replayed
        ORDER BY d.id LIMIT p_limit FOR UPDATE OF d SKIP LOCKED
    ), gone AS (
        DELETE FROM m10_recovery.dead_letter_archive d USING meant m WHERE d.id = m.id RETURNING d.dl_msg_id, d.stage
    ), named AS (
        INSERT INTO m10_recovery.dead_letter_gone (dl_msg_id)
        SELECT g.dl_msg_id FROM gone g WHERE g.dl_msg_id IS NOT NULL AND g.stage <> 'delivery' ON CONFLICT DO NOTHING
    )
    SELECT count(*)::int INTO v_count FROM gone;
    UPDATE m10_recovery.dead_letter_purge p
    SET purged = p.purged + v_count, ended_at = CASE WHEN v_count < p_limit THEN clock_timestamp() END WHERE p.id = p_purge;
    RETURN v_count;
END
$$;

-- Rights

-- Nobody calls these but other functions, as their owner, and triggers. Who could would publish without a verdict, or count admissions.
REVOKE EXECUTE ON FUNCTION m10_recovery.publish_actions, m10_recovery.actions_stopped, m10_recovery.is_quiet,
    m10_recovery.candidate_closes, m10_recovery.candidate_comes_back, m10_recovery.candidate_counts,
    m10_recovery.candidate_moves, m10_recovery.candidate_recurs, m10_recovery.candidate_signature,
    m10_recovery.candidates_created, m10_recovery.provenance_is_append_only FROM m10_app, m10_ops;
-- These only operations calls itself.
REVOKE EXECUTE ON FUNCTION m10_recovery.demand_lease, m10_recovery.event_key, m10_recovery.readable FROM m10_app;
-- settle_events pauses destinations itself, m10 outbox writes the row.
DROP FUNCTION m10_recovery.pause_destination;
