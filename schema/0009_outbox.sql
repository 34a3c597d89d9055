-- The transactional outbox. An event is open until processed_at or dead_at is set; process_after alone schedules it.
CREATE TABLE m10_recovery.outbox (
    id                 bigserial PRIMARY KEY,
    aggregate_type     text NOT NULL,
    aggregate_id       text NOT NULL,
    event_type         text NOT NULL,
    payload            jsonb NOT NULL,
    created_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    processed_at       timestamptz,
    processed_by       text,
    retry_count        int NOT NULL DEFAULT 0,          -- attempts that the receiver may have seen and that failed
    unreachable_count  int NOT NULL DEFAULT 0,          -- attempts that it cannot have seen; only their delay grows
    last_error         text,
    process_after      timestamptz NOT NULL DEFAULT clock_timestamp(),
    claimed_at         timestamptz,
    claimed_by         text,
    claimed_epoch      bigint,
    event_uuid         uuid NOT NULL DEFAULT gen_random_uuid(),
    dead_at            timestamptz,
    destination        text,
    candidate_id       bigint,                          -- set where the event carries out a candidate's action,
    round              int                              -- decided in this round of it
) WITH (fillfactor = 85);
CREATE INDEX ix_outbox_open ON m10_recovery.outbox (process_after, id) WHERE processed_at IS NULL AND dead_at IS NULL;
CREATE INDEX ix_outbox_order ON m10_recovery.outbox (aggregate_type, aggregate_id, id) WHERE processed_at IS NULL AND dead_at IS NULL;

CREATE FUNCTION m10_recovery.publish_outbox(p_aggregate_type text, p_aggregate_id text, p_event_type text, p_payload jsonb) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
    INSERT INTO m10_recovery.outbox (aggregate_type, aggregate_id, event_type, payload)
    VALUES (p_aggregate_type, p_aggregate_id, p_event_type, p_payload)
    RETURNING id
$$;

-- The key is the same on every attempt, and never the same in another installation.
CREATE FUNCTION m10_recovery.event_key(p_id bigint, p_aggregate_type text, p_aggregate_id text, p_event_type text) RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
    SELECT left(encode(sha256(convert_to(concat_ws(':', s.installation, p_id, p_aggregate_type, p_aggregate_id, p_event_type), 'UTF8')), 'hex'), 32)
    FROM m10_recovery.settings s
$$;

-- Destinations that answered 410 Gone: their events wait until an operator resumes them.
CREATE TABLE m10_recovery.paused_destination (
    name       text PRIMARY KEY,
    reason     text NOT NULL,
    paused_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE FUNCTION m10_recovery.pause_destination(p_name text, p_reason text) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
    INSERT INTO m10_recovery.paused_destination (name, reason) VALUES (p_name, p_reason) ON CONFLICT (name) DO NOTHING
$$;

-- Claims open events that are due and not in hand, the oldest open one of each aggregate only. A claim of an older epoch, or one that
-- is older than claim_takeover, is taken over.
CREATE FUNCTION m10_recovery.claim_open_events(p_processor text, p_epoch bigint, p_limit int)
RETURNS TABLE (id bigint, aggregate_type text, aggregate_id text, event_type text, payload jsonb, retry_count int, event_uuid uuid, destination text)
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
    WITH pick AS MATERIALIZED (
        SELECT o.id FROM m10_recovery.outbox o
        WHERE o.processed_at IS NULL AND o.dead_at IS NULL AND o.process_after <= clock_timestamp()
          AND (o.claimed_at IS NULL OR o.claimed_epoch < p_epoch
               OR o.claimed_at < clock_timestamp() - (SELECT s.claim_takeover FROM m10_recovery.settings s))
          AND NOT EXISTS (SELECT FROM m10_recovery.paused_destination d WHERE d.name = o.destination)
          AND NOT EXISTS (SELECT FROM m10_recovery.outbox e
                          WHERE e.aggregate_type = o.aggregate_type AND e.aggregate_id = o.aggregate_id AND e.id < o.id
                            AND e.processed_at IS NULL AND e.dead_at IS NULL)
        ORDER BY o.process_after, o.id
        LIMIT p_limit
        FOR UPDATE OF o SKIP LOCKED
    ), claimed AS (
        UPDATE m10_recovery.outbox o SET claimed_at = clock_timestamp(), claimed_by = p_processor, claimed_epoch = p_epoch
        FROM pick WHERE o.id = pick.id
        RETURNING o.*
    )
    SELECT c.id, c.aggregate_type, c.aggregate_id, c.event_type, c.payload, c.retry_count, c.event_uuid, c.destination
    FROM claimed c ORDER BY c.process_after, c.id
$$;
REVOKE EXECUTE ON FUNCTION m10_recovery.claim_open_events FROM m10_app, m10_ops;

-- For the engine: only with the live lock in this epoch (else M1002).
CREATE FUNCTION m10_recovery.claim_events(p_processor text, p_epoch bigint, p_limit int)
RETURNS TABLE (id bigint, aggregate_type text, aggregate_id text, event_type text, payload text, retry_count int, event_uuid uuid,
               destination text, idempotency_key text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
BEGIN
    PERFORM m10_recovery.demand_lease('m10:outbox_processor', p_processor, p_epoch);
    RETURN QUERY
    SELECT e.id, e.aggregate_type, e.aggregate_id, e.event_type, e.payload::text, e.retry_count, e.event_uuid, e.destination,
           m10_recovery.event_key(e.id, e.aggregate_type, e.aggregate_id, e.event_type)
    FROM m10_recovery.claim_open_events(p_processor, p_epoch, p_limit) e;
END
$$;

-- For other programs: nothing while somebody else holds the outbox lock.
CREATE FUNCTION m10_recovery.claim_outbox_events(p_processor_id text, p_batch_size int DEFAULT 10)
RETURNS TABLE (id bigint, aggregate_type text, aggregate_id text, event_type text, payload jsonb, retry_count int)
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
    SELECT e.id, e.aggregate_type, e.aggregate_id, e.event_type, e.payload, e.retry_count
    FROM m10_recovery.claim_open_events(p_processor_id, NULL, CASE WHEN EXISTS (
        SELECT FROM m10_recovery.distributed_locks l
        WHERE l.lock_name = 'm10:outbox_processor' AND l.holder_id IS DISTINCT FROM p_processor_id AND l.expires_at > clock_timestamp()) THEN 0 ELSE p_batch_size END) e
$$;

-- Writes the outcomes of claimed events, and with each the execution that it carried out.
--   delivered    done; the execution succeeded          running  done; the receiver reports the execution's result later
--   failed       counted: retry_count + 1 and the schedule's delay, or p_delays' (Retry-After); past max_retries it is dead
--   unreachable  not counted: 2 s doubling to 5 min; dead past event_max_age
--   dead         dead at once
-- Only the claimer, only once: an event that is not claimed by p_processor in p_epoch is left out of the answer.
CREATE FUNCTION m10_recovery.settle_events(
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
                   WHEN t.outcome = 'unreachable' AND o.created_at < v_now - s.event_max_age THEN 'dead'
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
            retry_count = o.retry_count + CASE WHEN t.outcome = 'failed' THEN 1 ELSE 0 END,
            unreachable_count = o.unreachable_count + CASE WHEN t.outcome = 'unreachable' THEN 1 ELSE 0 END,
            process_after = CASE
                WHEN c.state <> 'retry' THEN o.process_after
                WHEN t.delay IS NOT NULL THEN v_now + t.delay
                WHEN t.outcome = 'unreachable' THEN v_now + least(interval '5 min', interval '2 s' * power(2, least(o.unreachable_count, 10)))
                ELSE v_now + s.retry_schedule[least(o.retry_count + 1, cardinality(s.retry_schedule))]
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
REVOKE EXECUTE ON FUNCTION m10_recovery.settle_events FROM m10_app, m10_ops;

-- For the engine: only with the live lock in this epoch (else M1002).
CREATE FUNCTION m10_recovery.complete_events(
    p_processor text, p_epoch bigint, p_ids bigint[], p_outcomes text[], p_errors text[], p_delays interval[], p_results jsonb[])
RETURNS TABLE (event_id bigint, state text, event_type text, aggregate_type text, candidate_id bigint, message_due int)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
BEGIN
    PERFORM m10_recovery.demand_lease('m10:outbox_processor', p_processor, p_epoch);
    RETURN QUERY SELECT * FROM m10_recovery.settle_events(p_processor, p_epoch, p_ids, p_outcomes, p_errors, p_delays, p_results);
END
$$;

-- For other programs.
CREATE FUNCTION m10_recovery.complete_outbox_event(p_event_id bigint, p_processor_id text, p_success boolean, p_error text DEFAULT NULL) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
BEGIN
    PERFORM FROM m10_recovery.settle_events(p_processor_id, NULL, ARRAY[p_event_id],
        ARRAY[CASE WHEN p_success THEN 'delivered' ELSE 'failed' END], ARRAY[p_error], ARRAY[NULL::interval], ARRAY[NULL::jsonb]);
    IF NOT FOUND THEN
        RAISE EXCEPTION 'outbox event % is not claimed by %', p_event_id, p_processor_id USING ERRCODE = 'M1001';
    END IF;
END
$$;
