-- What operators look at and send again: outbox and dead letters, as m10_ops.
-- A list must not scan: open and dead events have their partial indexes, everything else is read newest first by id.
CREATE INDEX ix_dead_letter_original ON m10_recovery.dead_letter_archive (original_msg_id);
CREATE INDEX ix_replay_log_replayed ON m10_recovery.replay_log (original_msg_id) WHERE replayed_at IS NOT NULL;
ALTER TABLE m10_recovery.replay_log ADD COLUMN why text;
ALTER TABLE m10_recovery.outbox ADD COLUMN resent_at timestamptz;

-- An event as a list shows it; next_attempt_at only while it is open.
CREATE VIEW m10_recovery.outbox_summary AS
    SELECT o.id, left(o.event_type, 200) AS event_type, left(o.destination, 200) AS destination, left(o.aggregate_type, 200) AS aggregate_type,
           left(o.aggregate_id, 200) AS aggregate_id, o.candidate_id, o.round,
           CASE WHEN o.processed_at IS NOT NULL THEN 'delivered' WHEN o.dead_at IS NOT NULL THEN 'dead'
                WHEN o.claimed_at IS NOT NULL THEN 'in_hand' ELSE 'waiting' END AS state,
           o.retry_count, o.unreachable_count, left(o.last_error, 2000) AS last_error, m10_recovery.readable(o.created_at) AS created_at,
           CASE WHEN o.processed_at IS NULL AND o.dead_at IS NULL THEN m10_recovery.readable(o.process_after) END AS next_attempt_at,
           m10_recovery.readable(coalesce(o.processed_at, o.dead_at)) AS ended_at
    FROM m10_recovery.outbox o;

-- A dead letter as a list shows it: its kind, and the cause that its reason begins with (`destination_not_allowed: ...`).
CREATE VIEW m10_recovery.dead_letter_summary AS
    SELECT d.id, left(d.dl_msg_id, 200) AS dl_msg_id,
           CASE WHEN d.event_id IS NOT NULL THEN 'event'
                WHEN d.original_msg_id LIKE d.candidate_id || ':%' THEN 'evaluation'
                WHEN d.original_entry_id IS NOT NULL THEN 'entry'
                ELSE 'other' END AS kind,
           left(split_part(coalesce(d.reason, 'unknown'), ':', 1), 200) AS cause, left(d.reason, 2000) AS reason,
           left(d.original_msg_id, 200) AS original_msg_id, d.candidate_id, d.event_id, d.reclaim_count,
           m10_recovery.readable(d.dead_lettered_at) AS dead_lettered_at
    FROM m10_recovery.dead_letter_archive d;

-- An operator sends an event again: the same row, so the same Idempotency-Key and bytes, with its whole schedule before it. Of an event that
-- had died the execution goes on, failed → executing, in this transaction. Who and why stand in the replay log, and in the provenance.
-- outcome: resent, already_open (nothing to do but to make it due now), delivered (only with p_delivered), newer_round (the candidate's next
-- round has published: this one is history), not_found. Locks as settle_events does: first the event, then its candidate.
CREATE FUNCTION m10_recovery.resend_event(p_event_id bigint, p_by text, p_why text, p_delivered boolean)
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
        ELSE 'resent' END;
    IF v_outcome = 'already_open' THEN
        UPDATE m10_recovery.outbox e SET process_after = clock_timestamp()
        WHERE e.id = o.id AND e.claimed_at IS NULL AND e.process_after > clock_timestamp();
    ELSIF v_outcome = 'resent' THEN
        UPDATE m10_recovery.outbox e
        SET processed_at = NULL, processed_by = NULL, dead_at = NULL, retry_count = 0, unreachable_count = 0,
            process_after = clock_timestamp(), resent_at = clock_timestamp()
        WHERE e.id = o.id;
        UPDATE public.recovery_candidates r
        SET execution_status = 'executing', executed_at = NULL, execution_result = NULL, closed_at = NULL,
            last_executed_at = clock_timestamp(), updated_at = now()
        WHERE r.id = c.id AND r.round = o.round AND r.execution_status = 'failed' AND o.dead_at IS NOT NULL
        RETURNING r.execution_status INTO c.execution_status;
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
REVOKE EXECUTE ON FUNCTION m10_recovery.resend_event FROM m10_app;
