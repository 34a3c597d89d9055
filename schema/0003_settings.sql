-- Values that SQL itself needs: one row, written by `m10 run` at start, so that other programs' calls follow the same periods.
CREATE TABLE m10_recovery.settings (
    one                 boolean PRIMARY KEY DEFAULT true CHECK (one),
    installation        uuid NOT NULL DEFAULT gen_random_uuid(),  -- part of every Idempotency-Key: a second database never repeats one
    recheck_thresholds  bigint[] NOT NULL DEFAULT '{5,10}',       -- occurrence counts at which a rule may change its mind
    reopen_after        interval NOT NULL DEFAULT '1 hour',
    max_retries         int NOT NULL DEFAULT 5 CHECK (max_retries BETWEEN 0 AND 100),
    retry_schedule      interval[] NOT NULL DEFAULT '{30s,2min,8min,32min,2h}'
                        CHECK (cardinality(retry_schedule) > 0 AND array_position(retry_schedule, NULL) IS NULL),
    retry_jitter        float8 NOT NULL DEFAULT 0.1 CHECK (retry_jitter BETWEEN 0 AND 1),
    event_max_age       interval NOT NULL DEFAULT '3 days',
    claim_takeover      interval NOT NULL DEFAULT '5 minutes',
    updated_at          timestamptz NOT NULL DEFAULT now()
);
INSERT INTO m10_recovery.settings DEFAULT VALUES;

-- Writes what the process was configured with; an absent field keeps its value; the installation is never changed.
CREATE FUNCTION m10_recovery.configure(p_settings jsonb) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
    UPDATE m10_recovery.settings s
    SET recheck_thresholds = n.recheck_thresholds, reopen_after = n.reopen_after,
        max_retries = n.max_retries, retry_schedule = n.retry_schedule, retry_jitter = n.retry_jitter,
        event_max_age = n.event_max_age, claim_takeover = n.claim_takeover, updated_at = clock_timestamp()
    FROM m10_recovery.settings old,
         LATERAL jsonb_populate_record(old, p_settings - 'installation' - 'one') AS n
    WHERE (s.recheck_thresholds, s.reopen_after, s.max_retries, s.retry_schedule, s.retry_jitter,
           s.event_max_age, s.claim_takeover)
          IS DISTINCT FROM
          (n.recheck_thresholds, n.reopen_after, n.max_retries, n.retry_schedule, n.retry_jitter,
           n.event_max_age, n.claim_takeover)
$$;

-- Pauses of parts of the engine, kept over a restart.
CREATE TABLE m10_recovery.control (
    part       text PRIMARY KEY CHECK (part IN ('intake', 'delivery', 'jobs')),
    paused_by  text NOT NULL,
    reason     text,
    paused_at  timestamptz NOT NULL DEFAULT now(),
    until      timestamptz
);
CREATE FUNCTION m10_recovery.paused_parts() RETURNS TABLE (part text, paused_by text, reason text, paused_at timestamptz, until timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
    SELECT c.part, c.paused_by, c.reason, c.paused_at, c.until
    FROM m10_recovery.control c WHERE c.until IS NULL OR c.until > clock_timestamp()
$$;

-- API tokens: only the SHA-256 of a token is stored; made and revoked by the operations role.
CREATE TABLE m10_recovery.api_token (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name        text NOT NULL UNIQUE CHECK (length(name) BETWEEN 1 AND 100),
    hash        bytea NOT NULL UNIQUE CHECK (octet_length(hash) = 32),
    scopes      text[] NOT NULL CHECK (scopes <@ '{recovery:write,recovery:read,recovery:approve,ops}'::text[] AND cardinality(scopes) > 0),
    created_at  timestamptz NOT NULL DEFAULT now(),
    revoked_at  timestamptz
);
CREATE FUNCTION m10_recovery.find_token(p_hash bytea) RETURNS TABLE (name text, scopes text[])
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
    SELECT t.name, t.scopes FROM m10_recovery.api_token t WHERE t.hash = p_hash AND t.revoked_at IS NULL
$$;
