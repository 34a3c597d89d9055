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

-- As in 0009, but for one thing: the longest age of an event that cannot be reached begins anew when it is sent again.
CREATE OR REPLACE FUNCTION m10_recovery.settle_events(
    p_processor text, p_epoch bigint, p_ids bigint[], p_outcomes text[], p_errors text[], p_delays interval[], p_results jsonb[])
RETURNS TABLE (event_id bigint, state text, event_type text, aggregate_type text, candidate_id bigint, message_due int)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
#variable_conflict use_column
DECLARE
    s m10_recovery.settings;
    v_now timestamptz := clock_timestamp();
BEGIN
    SELECT * INTO s FROM m10_recovery.settings;
    RETURN QUERY
    WITH told AS MATERIALIZED (
        SELECT DISTINCT ON (t.id) t.*
        FROM unnest(p_ids, p_outcomes, p_errors, p_delays, p_results) AS t(id, outcome, error, delay, result) ORDER BY t.id
    ), claimed AS MATERIALIZED (
        SELECT o.id, CASE
                   WHEN t.outcome IN ('delivered', 'running') THEN 'done'
                   WHEN t.outcome = 'dead' THEN 'dead'
                   WHEN t.outcome = 'failed' AND o.retry_count >= s.max_retries THEN 'dead'
                   WHEN t.outcome = 'unreachable' AND coalesce(o.resent_at, o.created_at) < v_now - s.event_max_age THEN 'dead'
                   ELSE 'retry' END AS state
        FROM m10_recovery.outbox o JOIN told t ON t.id = o.id
        WHERE o.claimed_by = p_processor AND o.claimed_epoch IS NOT DISTINCT FROM p_epoch AND o.processed_at IS NULL AND o.dead_at IS NULL
        ORDER BY o.id
        FOR UPDATE OF o
    ), settled AS (
        UPDATE m10_recovery.outbox o
        SET claimed_at = NULL, claimed_by = NULL, claimed_epoch = NULL,
            processed_at = CASE WHEN c.state = 'done' THEN v_now END,
            processed_by = CASE WHEN c.state = 'done' THEN p_processor END,
            dead_at = CASE WHEN c.state = 'dead' THEN v_now END,
            last_error = CASE WHEN c.state = 'done' THEN o.last_error ELSE left(t.error, 2000) END,
            retry_count = least(o.retry_count, 1000000) + CASE WHEN t.outcome = 'failed' THEN 1 ELSE 0 END,
            unreachable_count = least(o.unreachable_count, 1000000) + CASE WHEN t.outcome = 'unreachable' THEN 1 ELSE 0 END,
            process_after = CASE
                WHEN c.state <> 'retry' THEN o.process_after
                WHEN t.delay IS NOT NULL THEN v_now + t.delay
                WHEN t.outcome = 'unreachable' THEN v_now + least(interval '5 min', interval '2 s' * power(2, least(greatest(o.unreachable_count, 0), 10)))
                ELSE v_now + s.retry_schedule[least(greatest(o.retry_count, 0) + 1, cardinality(s.retry_schedule))]
                           * (1 + s.retry_jitter * (2 * random() - 1)) END
        FROM claimed c JOIN told t ON t.id = c.id
        WHERE o.id = c.id
        RETURNING o.id, c.state, t.outcome, o.event_type, o.aggregate_type, o.aggregate_id, o.candidate_id, o.round, o.last_error, o.retry_count,
                  o.payload, t.result
    ), buried AS (
        INSERT INTO m10_recovery.dead_letter_archive (dl_msg_id, original_msg_id, candidate_id, payload, reason, reclaim_count, event_id, archived_by)
        SELECT gen_random_uuid()::text, 'outbox:' || e.id, e.candidate_id, e.payload, e.last_error, e.retry_count, e.id, p_processor
        FROM settled e WHERE e.state = 'dead'
    ), locked AS MATERIALIZED (
        SELECT c.id, e.outcome, e.result, e.last_error, e.state
        FROM public.recovery_candidates c JOIN settled e ON e.candidate_id = c.id AND e.round = c.round
        WHERE e.state <> 'retry' AND c.execution_status = 'executing' AND e.outcome <> 'running'
        ORDER BY c.failure_match_id, c.error_signature
        FOR UPDATE OF c
    ), executed AS (
        UPDATE public.recovery_candidates c
        SET execution_status = CASE WHEN l.state = 'done' THEN 'succeeded' ELSE 'failed' END, executed_at = v_now, updated_at = now(),
            execution_result = coalesce(l.result, '{}') || CASE WHEN l.state = 'dead' THEN jsonb_build_object('error', l.last_error) ELSE '{}' END
        FROM locked l WHERE c.id = l.id
        RETURNING c.id, c.selected_action_id, l.state, CASE WHEN c.generation > c.evaluated_generation THEN c.generation END AS message_due
    ), proven AS (
        INSERT INTO m10_recovery.suggestion_provenance (suggestion_id, event_type, details, action_id, actor, actor_type)
        SELECT x.id, CASE WHEN x.state = 'done' THEN 'success' ELSE 'failure' END, jsonb_build_object('event_id', e.id), x.selected_action_id,
               p_processor, 'system'
        FROM executed x JOIN settled e ON e.candidate_id = x.id
    ), rated AS (
        UPDATE m10_recovery.suggestion_action a
        SET total_applications = a.total_applications + n.total, successful_applications = a.successful_applications + n.succeeded,
            success_rate = (a.successful_applications + n.succeeded)::real / (a.total_applications + n.total), updated_at = now()
        FROM (SELECT x.selected_action_id AS id, count(*) AS total, count(*) FILTER (WHERE x.state = 'done') AS succeeded
              FROM executed x GROUP BY 1) n
        WHERE a.id = n.id
    )
    SELECT e.id, e.state, e.event_type, e.aggregate_type, e.candidate_id, x.message_due FROM settled e LEFT JOIN executed x ON x.id = e.candidate_id;
END
$$;
