-- The audit: who changed what about the engine itself, and how each operations job went last. What happened to candidates stands in their
-- provenance, what died and was replayed in the archive and the replay log.

-- Beside pauses of parts the control log has the other changes that operators and processes make. `part` is what was changed: a part of the
-- engine, or the name of a token, a destination, a lock, a job.
ALTER TABLE m10_recovery.control_log
    ADD COLUMN kind text NOT NULL DEFAULT 'part' CHECK (kind IN ('part', 'destination', 'token', 'lock', 'settings', 'rules', 'job', 'process')),
    ADD COLUMN details jsonb,
    DROP CONSTRAINT control_log_part_check,
    DROP CONSTRAINT control_log_change_check;
ALTER TABLE m10_recovery.control_log ADD CONSTRAINT control_log_part_check
    CHECK (kind <> 'part' OR part IN ('intake', 'delivery', 'jobs', 'actions') AND change IN ('paused', 'resumed'));

-- Whoever acts says so for the transaction; else it is who logged in.
CREATE FUNCTION m10_recovery.acting() RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
    SELECT left(coalesce(nullif(current_setting('m10_recovery.acting', true), ''), session_user), 500)
$$;

-- A token was made or revoked, a destination held back (by an operator, or because it answered 410) or let go: by whatever statement.
CREATE FUNCTION m10_recovery.token_changed() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
BEGIN
    INSERT INTO m10_recovery.control_log (kind, part, change, changed_by, details)
    VALUES ('token', NEW.name, CASE WHEN NEW.revoked_at IS NULL THEN 'created' ELSE 'revoked' END, m10_recovery.acting(),
            jsonb_build_object('scopes', NEW.scopes));
    RETURN NULL;
END
$$;
CREATE TRIGGER created AFTER INSERT ON m10_recovery.api_token FOR EACH ROW EXECUTE FUNCTION m10_recovery.token_changed();
CREATE TRIGGER revoked AFTER UPDATE OF revoked_at ON m10_recovery.api_token
    FOR EACH ROW WHEN (OLD.revoked_at IS NULL AND NEW.revoked_at IS NOT NULL) EXECUTE FUNCTION m10_recovery.token_changed();
INSERT INTO m10_recovery.control_log (kind, part, change, changed_by, changed_at, details)
SELECT 'token', t.name, n.change, 'unknown', n.at, jsonb_build_object('scopes', t.scopes)
FROM m10_recovery.api_token t, LATERAL (VALUES ('created', t.created_at), ('revoked', t.revoked_at)) AS n(change, at)
WHERE n.at IS NOT NULL ORDER BY n.at;

CREATE FUNCTION m10_recovery.destination_changed() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
BEGIN
    INSERT INTO m10_recovery.control_log (kind, part, change, changed_by, reason)
    VALUES ('destination', coalesce(NEW.name, OLD.name), CASE TG_OP WHEN 'INSERT' THEN 'paused' ELSE 'resumed' END, m10_recovery.acting(),
            left(NEW.reason, 1000));
    RETURN NULL;
END
$$;
CREATE TRIGGER changed AFTER INSERT OR DELETE ON m10_recovery.paused_destination
    FOR EACH ROW EXECUTE FUNCTION m10_recovery.destination_changed();

-- The rules by which the process decides that configured this database last.
ALTER TABLE m10_recovery.settings ADD COLUMN rules_version text;

-- As in 0021, and: what changed is written down, by whom (`by`) and from what to what. Rules that others decide by are a change of their own.
CREATE OR REPLACE FUNCTION m10_recovery.configure(p_settings jsonb) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
    WITH configured AS (
        UPDATE m10_recovery.settings s
        SET recheck_thresholds = n.recheck_thresholds, reopen_after = n.reopen_after,
            max_retries = n.max_retries, retry_schedule = n.retry_schedule, retry_jitter = n.retry_jitter,
            event_max_age = n.event_max_age, claim_takeover = n.claim_takeover,
            verify_window = n.verify_window, result_timeout = n.result_timeout, attempt_budget = n.attempt_budget, autonomy = n.autonomy,
            rate_windows = n.rate_windows, rate_levels = n.rate_levels, rules_version = n.rules_version, updated_at = clock_timestamp()
        FROM m10_recovery.settings former,
             LATERAL jsonb_populate_record(former, p_settings - 'installation' - 'one') AS n
        WHERE (s.recheck_thresholds, s.reopen_after, s.max_retries, s.retry_schedule, s.retry_jitter,
               s.event_max_age, s.claim_takeover, s.verify_window, s.result_timeout, s.attempt_budget, s.autonomy, s.rate_windows, s.rate_levels,
               s.rules_version)
              IS DISTINCT FROM
              (n.recheck_thresholds, n.reopen_after, n.max_retries, n.retry_schedule, n.retry_jitter,
               n.event_max_age, n.claim_takeover, n.verify_window, n.result_timeout, n.attempt_budget, n.autonomy, n.rate_windows, n.rate_levels,
               n.rules_version)
        RETURNING to_jsonb(former) AS before, to_jsonb(s) AS after
    )
    INSERT INTO m10_recovery.control_log (kind, part, change, changed_by, details)
    SELECT d.kind, d.kind, 'changed', left(coalesce(p_settings ->> 'by', session_user), 500),
           jsonb_object_agg(d.key, jsonb_build_object('before', d.before, 'after', d.after))
    FROM (SELECT CASE a.key WHEN 'rules_version' THEN 'rules' ELSE 'settings' END AS kind, a.key, c.before -> a.key AS before, a.value AS after
          FROM configured c, LATERAL jsonb_each(c.after) a
          WHERE a.key <> 'updated_at' AND a.value IS DISTINCT FROM c.before -> a.key) d
    GROUP BY d.kind
$$;

-- How each operations job went last, in whichever process; `done` is what it did, counts by name. A job that somebody asked for stands in the
-- control log too.
CREATE TABLE m10_recovery.job_run (
    name           text PRIMARY KEY,
    runs           bigint NOT NULL DEFAULT 1,
    worker         text NOT NULL,
    outcome        text NOT NULL CHECK (outcome IN ('done', 'interrupted', 'failed')),
    started_at     timestamptz NOT NULL,
    ended_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    done           jsonb NOT NULL DEFAULT '{}',
    last_error     text,
    last_error_at  timestamptz
) WITH (fillfactor = 50);

-- What a row of provenance says; of an evaluation, whose record is long, what it came to.
CREATE FUNCTION m10_recovery.audit_details(p_event_type text, p_details jsonb, p_action_id bigint, p_duration_ms int) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
    SELECT CASE
        WHEN p_event_type = 'rule_evaluated' THEN jsonb_strip_nulls(jsonb_build_object(
            'generation', p_details -> 'generation', 'action', p_details #> '{d,0}', 'confidence', p_details #> '{d,2}',
            'reason', p_details #> '{d,3}', 'refused', p_details -> 'refused', 'ms', p_duration_ms))
        WHEN jsonb_typeof(p_details) = 'object' THEN p_details || jsonb_strip_nulls(jsonb_build_object('action',
            (SELECT a.action_code FROM m10_recovery.suggestion_action a WHERE a.id = p_action_id)))
        ELSE jsonb_build_object('details', p_details) END
$$;
REVOKE EXECUTE ON FUNCTION m10_recovery.audit_details, m10_recovery.acting,
    m10_recovery.token_changed, m10_recovery.destination_changed FROM m10_app;
