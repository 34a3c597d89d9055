-- The outbox under load, and a fence that a renewal never waits for.

-- Locks

-- As in 0006, but the fence holds the epoch only: whoever takes the lock over has to raise it, and so comes after this write or gives up;
-- a renewal, which touches the lock's row alone, does not wait for a write of its own holder.
CREATE OR REPLACE FUNCTION m10_recovery.demand_lease(p_lock_name text, p_holder_id text, p_epoch bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
BEGIN
    PERFORM FROM m10_recovery.distributed_locks l JOIN m10_recovery.lock_epoch e USING (lock_name)
    WHERE l.lock_name = p_lock_name AND l.holder_id = p_holder_id AND e.epoch = p_epoch AND l.expires_at > clock_timestamp()
    FOR SHARE OF e;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'lease of % is not held by % in epoch %', p_lock_name, p_holder_id, p_epoch USING ERRCODE = 'M1002';
    END IF;
END
$$;

-- As in 0006, but while another holds the lock it is only a look, so that those who stand by may ask often and disturb nobody.
CREATE OR REPLACE FUNCTION m10_recovery.acquire_lease(p_lock_name text, p_holder_id text, p_ttl interval) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, m10_recovery, pg_temp SET lock_timeout = '50ms' AS $$
DECLARE
    v_now timestamptz := clock_timestamp();
    v_changed boolean;
    v_epoch bigint;
BEGIN
    IF p_ttl NOT BETWEEN interval '1 ms' AND interval '1 day' THEN
        RAISE EXCEPTION 'ttl: expected 1 ms to 1 day, got %', p_ttl USING ERRCODE = '22023';
    END IF;
    IF EXISTS (SELECT FROM m10_recovery.distributed_locks l
               WHERE l.lock_name = p_lock_name AND l.holder_id <> p_holder_id AND l.expires_at > v_now) THEN
        RETURN NULL;
    END IF;
    INSERT INTO m10_recovery.distributed_locks AS l (lock_name, holder_id, acquired_at, expires_at)
    VALUES (p_lock_name, p_holder_id, v_now, v_now + p_ttl)
    ON CONFLICT (lock_name) DO UPDATE
    SET holder_id = p_holder_id, expires_at = v_now + p_ttl,
        acquired_at = CASE WHEN l.holder_id = p_holder_id AND l.expires_at > v_now THEN l.acquired_at ELSE v_now END
    WHERE l.holder_id = p_holder_id OR l.expires_at <= v_now
    RETURNING l.acquired_at = v_now INTO v_changed;
    IF v_changed THEN
        INSERT INTO m10_recovery.lock_epoch AS e VALUES (p_lock_name, 1)
        ON CONFLICT (lock_name) DO UPDATE SET epoch = e.epoch + 1
        RETURNING e.epoch INTO v_epoch;
    ELSIF NOT v_changed THEN
        SELECT e.epoch INTO v_epoch FROM m10_recovery.lock_epoch e WHERE e.lock_name = p_lock_name;
    END IF;
    RETURN v_epoch;
EXCEPTION WHEN lock_not_available THEN
    RETURN NULL;
END
$$;

-- As in 0006, but NULL where somebody's open transaction has the row for too long: not renewed, and not lost either.
CREATE OR REPLACE FUNCTION m10_recovery.renew_lease(p_lock_name text, p_holder_id text, p_epoch bigint, p_ttl interval) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, m10_recovery, pg_temp SET lock_timeout = '200ms' AS $$
BEGIN
    IF p_ttl NOT BETWEEN interval '1 ms' AND interval '1 day' THEN
        RAISE EXCEPTION 'ttl: expected 1 ms to 1 day, got %', p_ttl USING ERRCODE = '22023';
    END IF;
    UPDATE m10_recovery.distributed_locks l SET expires_at = clock_timestamp() + p_ttl
    WHERE l.lock_name = p_lock_name AND l.holder_id = p_holder_id AND l.expires_at > clock_timestamp()
      AND (p_epoch IS NULL OR EXISTS (SELECT FROM m10_recovery.lock_epoch e WHERE e.lock_name = p_lock_name AND e.epoch = p_epoch));
    RETURN FOUND;
EXCEPTION WHEN lock_not_available THEN
    RETURN NULL;
END
$$;
CREATE OR REPLACE FUNCTION m10_recovery.extend_lock(p_lock_name text, p_holder_id text, p_ttl_seconds int DEFAULT 600) RETURNS boolean
LANGUAGE sql SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
    SELECT coalesce(m10_recovery.renew_lease(p_lock_name, p_holder_id, NULL, make_interval(secs => p_ttl_seconds)), false)
$$;

-- After a restore: raises every epoch above whatever was given before it. Epochs grow by one with each change of holder, which is slower than
-- one a second, so that the seconds since 1970 are ahead of all of them. The outbox' epoch, which receivers see, is there in any case.
CREATE FUNCTION m10_recovery.bump_epochs() RETURNS TABLE (lock_name text, epoch_before bigint, epoch bigint)
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
    WITH before AS MATERIALIZED (
        SELECT e.lock_name, e.epoch FROM m10_recovery.lock_epoch e ORDER BY e.lock_name FOR UPDATE
    ), bumped AS (
        INSERT INTO m10_recovery.lock_epoch AS e (lock_name, epoch)
        SELECT n.lock_name, extract(epoch FROM clock_timestamp())::bigint
        FROM (SELECT b.lock_name FROM before b UNION SELECT 'm10:outbox_processor' ORDER BY 1) n
        ON CONFLICT (lock_name) DO UPDATE SET epoch = greatest(e.epoch + 1, excluded.epoch)
        RETURNING e.lock_name, e.epoch
    )
    SELECT n.lock_name, b.epoch, n.epoch FROM bumped n LEFT JOIN before b USING (lock_name) ORDER BY n.lock_name
$$;
REVOKE EXECUTE ON FUNCTION m10_recovery.bump_epochs FROM m10_app;

-- Claims

-- What a claim looks through is what can be claimed: an event behind an older open one of its aggregate is set aside when a claim comes upon
-- it, and comes back when that one is closed; each destination has its own stretch of the index, so that one that is paused is stepped over.
ALTER TABLE m10_recovery.outbox ADD COLUMN waits_behind bigint;
ALTER TABLE m10_recovery.outbox ADD COLUMN attempts jsonb NOT NULL DEFAULT '[]';
ALTER TABLE m10_recovery.dead_letter_archive ADD COLUMN attempts jsonb;
CREATE INDEX ix_outbox_ready ON m10_recovery.outbox ((coalesce(destination, '')), process_after, id)
    WHERE processed_at IS NULL AND dead_at IS NULL AND waits_behind IS NULL;
CREATE INDEX ix_outbox_behind ON m10_recovery.outbox (waits_behind) WHERE waits_behind IS NOT NULL;

-- Whoever closes an event, by whatever statement, calls back what waits behind it.
CREATE FUNCTION m10_recovery.call_back_events() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
BEGIN
    UPDATE m10_recovery.outbox o SET waits_behind = NULL WHERE o.waits_behind = OLD.id;
    RETURN NULL;
END
$$;
REVOKE EXECUTE ON FUNCTION m10_recovery.call_back_events FROM m10_app, m10_ops;
CREATE TRIGGER event_closed AFTER UPDATE OF processed_at, dead_at ON m10_recovery.outbox FOR EACH ROW
    WHEN (OLD.processed_at IS NULL AND OLD.dead_at IS NULL AND (NEW.processed_at IS NOT NULL OR NEW.dead_at IS NOT NULL))
    EXECUTE FUNCTION m10_recovery.call_back_events();
CREATE TRIGGER event_deleted AFTER DELETE ON m10_recovery.outbox FOR EACH ROW
    WHEN (OLD.processed_at IS NULL AND OLD.dead_at IS NULL)
    EXECUTE FUNCTION m10_recovery.call_back_events();

-- Only a REPEATABLE READ transaction can close an event without seeing who waits behind it: from time to time those are called back here.
CREATE FUNCTION m10_recovery.release_waiting_events() RETURNS int
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
    WITH freed AS (
        UPDATE m10_recovery.outbox o SET waits_behind = NULL
        WHERE o.waits_behind IS NOT NULL
          AND NOT EXISTS (SELECT FROM m10_recovery.outbox b WHERE b.id = o.waits_behind AND b.processed_at IS NULL AND b.dead_at IS NULL)
        RETURNING 1)
    SELECT count(*)::int FROM freed
$$;
REVOKE EXECUTE ON FUNCTION m10_recovery.release_waiting_events FROM m10_app;

-- Sets events aside, each behind an older one of its aggregate; how many. One that is being closed at this moment has nobody set behind it:
-- locked, the others cannot be closed before this commits, and whoever closes them then sees who waits.
CREATE FUNCTION m10_recovery.set_aside(p_ids bigint[], p_behind bigint[]) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, m10_recovery, pg_temp SET enable_seqscan = off SET jit = off AS $$
DECLARE
    v_open bigint[];
    v_count int;
BEGIN
    SELECT array_agg(b.id) INTO v_open
    FROM (SELECT o.id FROM m10_recovery.outbox o
          WHERE o.id = ANY (p_behind) AND o.processed_at IS NULL AND o.dead_at IS NULL ORDER BY o.id FOR SHARE SKIP LOCKED) b;
    UPDATE m10_recovery.outbox o SET waits_behind = t.behind
    FROM unnest(p_ids, p_behind) AS t(id, behind) JOIN unnest(v_open) AS b(id) ON b.id = t.behind
    WHERE o.id = t.id;
    GET DIAGNOSTICS v_count = ROW_COUNT;
    RETURN v_count;
END
$$;
REVOKE EXECUTE ON FUNCTION m10_recovery.set_aside FROM m10_app, m10_ops;

-- Claims open events that are due and not in hand, the oldest open one of each aggregate only, and of each destination its share. A claim of an
-- older epoch, or one that is older than claim_takeover, is taken over. Where most of what is due has to be set aside first, it stops after a
-- quarter of a second; the next claim goes on. The planner's statistics of a queue are always wrong, so it is told how to read it.
-- p_held: destinations that take nothing now. Of their events only those are claimed that have been due for event_max_age.
DROP FUNCTION m10_recovery.claim_events, m10_recovery.claim_open_events;
CREATE FUNCTION m10_recovery.claim_open_events(p_processor text, p_epoch bigint, p_limit int, p_held text[] DEFAULT NULL)
RETURNS TABLE (id bigint, aggregate_type text, aggregate_id text, event_type text, payload jsonb, retry_count int, event_uuid uuid, destination text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, m10_recovery, pg_temp
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off SET enable_incremental_sort = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
    v_now timestamptz := clock_timestamp();
    v_stale timestamptz := v_now - (SELECT s.claim_takeover FROM m10_recovery.settings s);
    v_old timestamptz := v_now - (SELECT s.event_max_age FROM m10_recovery.settings s);
    v_room int := p_limit;
    v_look int := p_limit;
    v_first bigint[];
    v_later bigint[];
    v_behind bigint[];
    v_count int;
BEGIN
    IF p_limit IS NULL OR p_limit < 0 THEN
        RAISE EXCEPTION 'limit: expected 0 or more, got %', p_limit USING ERRCODE = '2201W';
    END IF;
    WHILE v_room > 0 LOOP
        WITH RECURSIVE names AS (
            SELECT min(coalesce(o.destination, '')) AS name FROM m10_recovery.outbox o
            WHERE o.processed_at IS NULL AND o.dead_at IS NULL AND o.waits_behind IS NULL
            UNION ALL
            SELECT (SELECT min(coalesce(o.destination, '')) FROM m10_recovery.outbox o
                    WHERE o.processed_at IS NULL AND o.dead_at IS NULL AND o.waits_behind IS NULL AND coalesce(o.destination, '') > n.name)
            FROM names n WHERE n.name IS NOT NULL
        ), due AS MATERIALIZED (
            SELECT d.*, row_number() OVER (PARTITION BY n.name ORDER BY d.process_after, d.id) AS nth
            FROM names n CROSS JOIN LATERAL (
                SELECT o.id, o.aggregate_type, o.aggregate_id, o.process_after FROM m10_recovery.outbox o
                WHERE o.processed_at IS NULL AND o.dead_at IS NULL AND o.waits_behind IS NULL AND coalesce(o.destination, '') = n.name
                  AND o.process_after <= CASE WHEN n.name = ANY (p_held) THEN v_old ELSE v_now END
                  AND (o.claimed_at IS NULL OR o.claimed_epoch < p_epoch OR o.claimed_at < v_stale)
                ORDER BY o.process_after, o.id
                LIMIT v_look
                FOR UPDATE SKIP LOCKED) d
            WHERE NOT EXISTS (SELECT FROM m10_recovery.paused_destination p WHERE p.name = n.name)
        ), judged AS (
            SELECT d.id, d.nth, d.process_after, b.id AS behind
            FROM due d LEFT JOIN LATERAL (
                -- The row before it in ix_outbox_order, whatever its aggregate: with an equality here the planner would see no need of that
                -- order and walk the primary key backwards, and where sorts are allowed it may read another index as a whole.
                SELECT e.id, e.aggregate_type, e.aggregate_id FROM m10_recovery.outbox e
                WHERE (e.aggregate_type, e.aggregate_id, e.id) < (d.aggregate_type, d.aggregate_id, d.id)
                  AND e.processed_at IS NULL AND e.dead_at IS NULL
                ORDER BY e.aggregate_type DESC, e.aggregate_id DESC, e.id DESC LIMIT 1) b
                ON b.aggregate_type = d.aggregate_type AND b.aggregate_id = d.aggregate_id
        )
        SELECT array_agg(j.id ORDER BY j.nth, j.process_after, j.id) FILTER (WHERE j.behind IS NULL),
               array_agg(j.id) FILTER (WHERE j.behind IS NOT NULL), array_agg(j.behind) FILTER (WHERE j.behind IS NOT NULL)
        INTO v_first, v_later, v_behind
        FROM judged j;
        v_first := v_first[1:v_room];
        RETURN QUERY
        WITH claimed AS (
            UPDATE m10_recovery.outbox o SET claimed_at = v_now, claimed_by = p_processor, claimed_epoch = p_epoch
            WHERE o.id = ANY (v_first)
            RETURNING o.*
        )
        SELECT c.id, c.aggregate_type, c.aggregate_id, c.event_type, c.payload, c.retry_count, c.event_uuid, c.destination
        FROM claimed c ORDER BY array_position(v_first, c.id);
        GET DIAGNOSTICS v_count = ROW_COUNT;
        v_room := v_room - v_count;
        EXIT WHEN v_later IS NULL OR m10_recovery.set_aside(v_later, v_behind) = 0 OR clock_timestamp() > v_now + interval '250 ms';
        v_look := least(v_look * 4, 1000);
    END LOOP;
END
$$;

REVOKE EXECUTE ON FUNCTION m10_recovery.claim_open_events FROM m10_app, m10_ops;

-- For the engine: only with the live lock in this epoch (else M1002).
CREATE FUNCTION m10_recovery.claim_events(p_processor text, p_epoch bigint, p_limit int, p_held text[] DEFAULT NULL)
RETURNS TABLE (id bigint, aggregate_type text, aggregate_id text, event_type text, payload text, retry_count int, event_uuid uuid,
               destination text, idempotency_key text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
BEGIN
    PERFORM m10_recovery.demand_lease('m10:outbox_processor', p_processor, p_epoch);
    RETURN QUERY
    SELECT e.id, e.aggregate_type, e.aggregate_id, e.event_type, e.payload::text, e.retry_count, e.event_uuid, e.destination,
           m10_recovery.event_key(e.id, e.aggregate_type, e.aggregate_id, e.event_type)
    FROM m10_recovery.claim_open_events(p_processor, p_epoch, p_limit, p_held) e;
END
$$;

-- Completions

-- As in 0009, but the longest age of an event that cannot be reached begins anew when it is sent again, and: each attempt enters the event's history, of which the newest 20 are kept, and the dead letter gets them too;
-- `gone` is dead, and pauses the event's destination in the same transaction. Without an attempt:
--   held         its destination takes none now: only process_after moves
--   cut_off      the same, because its destination is out of order: dead past event_max_age
DROP FUNCTION m10_recovery.complete_events, m10_recovery.settle_events;
CREATE FUNCTION m10_recovery.settle_events(
    p_processor text, p_epoch bigint, p_ids bigint[], p_outcomes text[], p_errors text[], p_delays interval[], p_results jsonb[],
    p_attempts jsonb[] DEFAULT NULL)
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
        FROM unnest(p_ids, p_outcomes, p_errors, p_delays, p_results, p_attempts) AS t(id, outcome, error, delay, result, attempt) ORDER BY t.id
    ), claimed AS MATERIALIZED (
        SELECT o.id, CASE
                   WHEN t.outcome IN ('delivered', 'running') THEN 'done'
                   WHEN t.outcome IN ('dead', 'gone') THEN 'dead'
                   WHEN t.outcome = 'failed' AND o.retry_count >= s.max_retries THEN 'dead'
                   WHEN t.outcome IN ('unreachable', 'cut_off') AND coalesce(o.resent_at, o.created_at) < v_now - s.event_max_age THEN 'dead'
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
            last_error = CASE WHEN c.state = 'done' OR t.outcome = 'held' OR t.outcome = 'cut_off' AND c.state = 'retry' THEN o.last_error
                              ELSE left(t.error, 2000) END,
            retry_count = least(o.retry_count, 1000000) + CASE WHEN t.outcome = 'failed' THEN 1 ELSE 0 END,
            unreachable_count = least(o.unreachable_count, 1000000) + CASE WHEN t.outcome = 'unreachable' THEN 1 ELSE 0 END,
            attempts = CASE WHEN t.outcome IN ('held', 'cut_off') THEN o.attempts ELSE
                CASE WHEN jsonb_array_length(o.attempts) >= 20 THEN o.attempts - 0 ELSE o.attempts END || jsonb_build_array(
                jsonb_strip_nulls(jsonb_build_object(
                    'number', coalesce((o.attempts #>> '{-1,number}')::int, 0) + 1, 'at', m10_recovery.readable(v_now), 'outcome', t.outcome,
                    'error', left(t.error, 500))) || coalesce(t.attempt, '{}')) END,
            process_after = CASE
                WHEN c.state <> 'retry' THEN o.process_after
                WHEN t.delay IS NOT NULL THEN v_now + t.delay
                WHEN t.outcome = 'unreachable' THEN v_now + least(interval '5 min', interval '2 s' * power(2, least(greatest(o.unreachable_count, 0), 10)))
                ELSE v_now + s.retry_schedule[least(greatest(o.retry_count, 0) + 1, cardinality(s.retry_schedule))]
                           * (1 + s.retry_jitter * (2 * random() - 1)) END
        FROM claimed c JOIN told t ON t.id = c.id
        WHERE o.id = c.id
        RETURNING o.id, c.state, t.outcome, o.event_type, o.aggregate_type, o.aggregate_id, o.candidate_id, o.round, o.last_error, o.retry_count,
                  o.payload, o.destination, o.attempts, t.result
    ), buried AS (
        INSERT INTO m10_recovery.dead_letter_archive (dl_msg_id, original_msg_id, candidate_id, payload, reason, reclaim_count, event_id, archived_by, attempts)
        SELECT gen_random_uuid()::text, 'outbox:' || e.id, e.candidate_id, e.payload, e.last_error, e.retry_count, e.id, p_processor, e.attempts
        FROM settled e WHERE e.state = 'dead'
    ), paused AS (
        INSERT INTO m10_recovery.paused_destination (name, reason)
        SELECT DISTINCT ON (e.destination) e.destination, e.last_error FROM settled e WHERE e.outcome = 'gone' AND e.destination IS NOT NULL
        ORDER BY e.destination, e.id
        ON CONFLICT (name) DO NOTHING
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

-- For the engine: only with the live lock in this epoch (else M1002). p_attempts: what else is known of each attempt (status, ms, answer).
CREATE FUNCTION m10_recovery.complete_events(
    p_processor text, p_epoch bigint, p_ids bigint[], p_outcomes text[], p_errors text[], p_delays interval[], p_results jsonb[],
    p_attempts jsonb[] DEFAULT NULL)
RETURNS TABLE (event_id bigint, state text, event_type text, aggregate_type text, candidate_id bigint, message_due int)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
BEGIN
    PERFORM m10_recovery.demand_lease('m10:outbox_processor', p_processor, p_epoch);
    RETURN QUERY SELECT * FROM m10_recovery.settle_events(p_processor, p_epoch, p_ids, p_outcomes, p_errors, p_delays, p_results, p_attempts);
END
$$;
