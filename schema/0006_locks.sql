-- Locks with an expiry, judged by this server's clock. The epoch grows with each change of holder and outlives the lock row, so that a
-- write of a holder that was paused past its lease can be told from one of its successor.
CREATE TABLE m10_recovery.distributed_locks (
    lock_name    text PRIMARY KEY,
    holder_id    text NOT NULL,
    acquired_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at   timestamptz NOT NULL
);
CREATE TABLE m10_recovery.lock_epoch (
    lock_name  text PRIMARY KEY,
    epoch      bigint NOT NULL
);

-- Takes a free or expired lock or renews one's own: its epoch; NULL while another holds it. Never waits for another's open transaction.
CREATE FUNCTION m10_recovery.acquire_lease(p_lock_name text, p_holder_id text, p_ttl interval) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, m10_recovery, pg_temp SET lock_timeout = '50ms' AS $$
DECLARE
    v_now timestamptz := clock_timestamp();
    v_changed boolean;
    v_epoch bigint;
BEGIN
    IF p_ttl NOT BETWEEN interval '1 ms' AND interval '1 day' THEN
        RAISE EXCEPTION 'ttl: expected 1 ms to 1 day, got %', p_ttl USING ERRCODE = '22023';
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

-- Only while still held by this holder in this epoch (NULL: any) and not expired.
CREATE FUNCTION m10_recovery.renew_lease(p_lock_name text, p_holder_id text, p_epoch bigint, p_ttl interval) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
BEGIN
    IF p_ttl NOT BETWEEN interval '1 ms' AND interval '1 day' THEN
        RAISE EXCEPTION 'ttl: expected 1 ms to 1 day, got %', p_ttl USING ERRCODE = '22023';
    END IF;
    UPDATE m10_recovery.distributed_locks l SET expires_at = clock_timestamp() + p_ttl
    WHERE l.lock_name = p_lock_name AND l.holder_id = p_holder_id AND l.expires_at > clock_timestamp()
      AND (p_epoch IS NULL OR EXISTS (SELECT FROM m10_recovery.lock_epoch e WHERE e.lock_name = p_lock_name AND e.epoch = p_epoch));
    RETURN FOUND;
END
$$;

CREATE FUNCTION m10_recovery.release_lease(p_lock_name text, p_holder_id text, p_epoch bigint) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
BEGIN
    DELETE FROM m10_recovery.distributed_locks l
    WHERE l.lock_name = p_lock_name AND l.holder_id = p_holder_id
      AND (p_epoch IS NULL OR EXISTS (SELECT FROM m10_recovery.lock_epoch e WHERE e.lock_name = p_lock_name AND e.epoch = p_epoch));
    RETURN FOUND;
END
$$;

-- The fence: raises M1002 unless this holder has the live lock in this epoch; both rows stay as they are until the transaction ends
-- (locked, they are read as they stand now, not as they stood when the statement began).
CREATE FUNCTION m10_recovery.demand_lease(p_lock_name text, p_holder_id text, p_epoch bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
BEGIN
    PERFORM FROM m10_recovery.distributed_locks l JOIN m10_recovery.lock_epoch e USING (lock_name)
    WHERE l.lock_name = p_lock_name AND l.holder_id = p_holder_id AND e.epoch = p_epoch AND l.expires_at > clock_timestamp()
    FOR SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'lease of % is not held by % in epoch %', p_lock_name, p_holder_id, p_epoch USING ERRCODE = 'M1002';
    END IF;
END
$$;

-- For other programs: the same locks in whole seconds.
CREATE FUNCTION m10_recovery.acquire_lock(p_lock_name text, p_holder_id text, p_ttl_seconds int DEFAULT 600) RETURNS boolean
LANGUAGE sql SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
    SELECT m10_recovery.acquire_lease(p_lock_name, p_holder_id, make_interval(secs => p_ttl_seconds)) IS NOT NULL
$$;
CREATE FUNCTION m10_recovery.extend_lock(p_lock_name text, p_holder_id text, p_ttl_seconds int DEFAULT 600) RETURNS boolean
LANGUAGE sql SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
    SELECT m10_recovery.renew_lease(p_lock_name, p_holder_id, NULL, make_interval(secs => p_ttl_seconds))
$$;
CREATE FUNCTION m10_recovery.release_lock(p_lock_name text, p_holder_id text) RETURNS boolean
LANGUAGE sql SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
    SELECT m10_recovery.release_lease(p_lock_name, p_holder_id, NULL)
$$;
CREATE FUNCTION m10_recovery.cleanup_expired_locks() RETURNS int
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
    WITH gone AS (
        DELETE FROM m10_recovery.distributed_locks l
        WHERE l.lock_name IN (SELECT e.lock_name FROM m10_recovery.distributed_locks e WHERE e.expires_at <= clock_timestamp() FOR UPDATE SKIP LOCKED)
          AND l.expires_at <= clock_timestamp()
        RETURNING 1)
    SELECT count(*)::int FROM gone
$$;
