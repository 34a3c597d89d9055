-- What a decision is made from: the candidate, how often it was seen lately, and what came of past cases.
-- Some of these functions read what 0021 makes.
SET LOCAL check_function_bodies = off;

-- Rates

-- The windows that the rules ask for, in seconds, and the rate in each at which a rule may change its mind: pairs, ascending. Written by
-- `m10 run` like recheck_thresholds; while there are none, nothing is counted.
ALTER TABLE m10_recovery.settings
    ADD COLUMN rate_windows int[] NOT NULL DEFAULT '{}',
    ADD COLUMN rate_levels float8[] NOT NULL DEFAULT '{}',
    ADD CONSTRAINT rates_are_pairs CHECK (cardinality(rate_windows) = cardinality(rate_levels) AND 0 < ALL (rate_windows)
        AND 0 < ALL (rate_levels) AND array_position(rate_windows, NULL) IS NULL AND array_position(rate_levels, NULL) IS NULL);

-- Of each window that was counted: its seconds, the number of its last bucket (the clock divided by them), how often the failure was seen in
-- that bucket, and in the one before. No index has it: counting stays a heap-only update.
ALTER TABLE public.recovery_candidates ADD COLUMN rate_buckets bigint[]
    CONSTRAINT rate_buckets_are_counts CHECK (0 <= ALL (rate_buckets) AND 4611686018427387904 >= ALL (rate_buckets));  -- 2^62: no sum overflows

-- How often it was seen in a window that ends at p_at: what was counted in the bucket of p_at, and of the one before the share that the
-- window still covers, as if that one had been even.
CREATE FUNCTION m10_recovery.rate_at(p_buckets bigint[], p_window int, p_at timestamptz) RETURNS float8
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
DECLARE
    v_place float8 := extract(epoch FROM p_at) / p_window;
    v_left float8 := 1 - (v_place - floor(v_place));
BEGIN
    FOR i IN 1..coalesce(cardinality(p_buckets), 0) BY 4 LOOP
        IF p_buckets[i] = p_window THEN
            RETURN CASE floor(v_place)::bigint - p_buckets[i + 1]
                       WHEN 0 THEN p_buckets[i + 2] + p_buckets[i + 3] * v_left
                       WHEN 1 THEN p_buckets[i + 2] * v_left
                       WHEN -1 THEN p_buckets[i + 2]  -- the clock was set back a little
                       ELSE 0 END;
        END IF;
    END LOOP;
    RETURN 0;
END
$$;

-- The buckets after p_count more were seen at p_at. Windows that are not asked for any more are forgotten. A clock that was set back a little
-- counts in the last bucket, one that was set back far begins anew.
CREATE FUNCTION m10_recovery.rates_counted(p_buckets bigint[], p_windows int[], p_count bigint, p_at timestamptz) RETURNS bigint[]
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
DECLARE
    v_counted bigint[] := '{}';
    v_most CONSTANT bigint := 2305843009213693952;  -- 2^61: two of them are what a bucket may hold
    v_window int;
    v_bucket bigint;
    v_last bigint[];
BEGIN
    FOREACH v_window IN ARRAY p_windows LOOP
        CONTINUE WHEN v_window = v_counted[cardinality(v_counted) - 3];  -- another level of the same window
        v_bucket := floor(extract(epoch FROM p_at) / v_window);
        v_last := ARRAY[v_bucket, 0, 0];
        FOR i IN 1..coalesce(cardinality(p_buckets), 0) BY 4 LOOP
            IF p_buckets[i] = v_window THEN
                v_last := CASE v_bucket - p_buckets[i + 1]
                              WHEN 0 THEN p_buckets[i + 1:i + 3]
                              WHEN -1 THEN p_buckets[i + 1:i + 3]
                              WHEN 1 THEN ARRAY[v_bucket, 0, p_buckets[i + 2]]
                              ELSE v_last END;
            END IF;
        END LOOP;
        v_counted := v_counted || ARRAY[v_window, v_last[1], least(v_last[2], v_most) + least(p_count, v_most), v_last[3]];
    END LOOP;
    RETURN nullif(v_counted, '{}');
END
$$;

-- As before, but by the names of the columns: the archive has no use for all of them. A null of JSON becomes one of SQL.
ALTER TABLE m10_recovery.recovery_candidates_archive ALTER COLUMN explain DROP NOT NULL;
CREATE OR REPLACE FUNCTION m10_recovery.archive_candidates(p_older_than interval, p_limit int) RETURNS int
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
    INSERT INTO m10_recovery.recovery_candidates_archive
    SELECT kept.* FROM public.recovery_candidates c,
           LATERAL jsonb_populate_record(NULL::m10_recovery.recovery_candidates_archive,
                                         to_jsonb(c) || jsonb_build_object('archived_at', now())) AS kept
    WHERE c.id = ANY (v_ids);
    PERFORM set_config('m10_recovery.archiving', 'on', true);
    DELETE FROM public.recovery_candidates c WHERE c.id = ANY (v_ids);
    PERFORM set_config('m10_recovery.archiving', 'off', true);
    RETURN coalesce(cardinality(v_ids), 0);
END
$$;

-- Counts what was seen, whoever counts it. (Triggers of one table fire by name: closes, counts, recurs.)
CREATE FUNCTION m10_recovery.candidate_counts() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
DECLARE
    v_windows int[] := (SELECT s.rate_windows FROM m10_recovery.settings s);
    v_before bigint := CASE WHEN TG_OP = 'UPDATE' THEN OLD.occurrence_count ELSE 0 END;
BEGIN
    IF v_windows <> '{}' AND NEW.occurrence_count > v_before THEN
        NEW.rate_buckets := m10_recovery.rates_counted(NEW.rate_buckets, v_windows, NEW.occurrence_count - v_before, clock_timestamp());
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER counts BEFORE INSERT OR UPDATE OF occurrence_count ON public.recovery_candidates
    FOR EACH ROW EXECUTE FUNCTION m10_recovery.candidate_counts();

-- As before, and a rate that rises to a level of the settings counts like a threshold that is passed: once for each time that it rises to it.
CREATE OR REPLACE FUNCTION m10_recovery.candidate_recurs() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
DECLARE
    s m10_recovery.settings;
    passed boolean;
    unseen bigint;  -- occurrences that nobody has judged yet: those of this statement, or all since the evaluation if nothing was judged since
BEGIN
    SELECT * INTO s FROM m10_recovery.settings;
    passed := EXISTS (SELECT FROM unnest(s.recheck_thresholds) t WHERE t > NEW.evaluated_count AND t <= NEW.occurrence_count);
    IF NOT passed AND s.rate_windows <> '{}' THEN
        unseen := NEW.occurrence_count - CASE WHEN OLD.generation > OLD.evaluated_generation OR OLD.execution_status = 'executing'
                                              THEN NEW.evaluated_count ELSE OLD.occurrence_count END;
        passed := EXISTS (SELECT FROM unnest(s.rate_windows, s.rate_levels) AS t(seconds, level),
                               LATERAL m10_recovery.rate_at(NEW.rate_buckets, t.seconds, clock_timestamp()) AS rate
                          WHERE rate >= t.level AND rate - unseen < t.level);
    END IF;
    IF NEW.closed_at IS NULL THEN
        IF NOT passed THEN
            RETURN NEW;
        END IF;
    ELSE
        IF NOT passed AND NOT (NEW.occurrence_count > OLD.occurrence_count AND NEW.closed_at < clock_timestamp() - s.reopen_after) THEN
            RETURN NEW;
        END IF;
        INSERT INTO m10_recovery.suggestion_provenance (suggestion_id, event_type, details, action_id, confidence_after, actor, actor_type)
        VALUES (NEW.id, 'round_closed',
                jsonb_build_object('round', NEW.round, 'generation', NEW.evaluated_generation, 'decision', NEW.decision,
                                   'execution_status', NEW.execution_status, 'execution_result', NEW.execution_result,
                                   'closed_at', NEW.closed_at, 'occurrence_count', NEW.occurrence_count),
                NEW.selected_action_id, NEW.confidence, coalesce(NEW.approved_by_human, 'engine'),
                CASE WHEN NEW.approved_by_human IS NULL THEN 'system' ELSE 'human' END);
        NEW.round := NEW.round + 1;
        NEW.closed_at := NULL;
        NEW.execution_status := NULL;
        NEW.executed_at := NULL;
        NEW.execution_result := NULL;
    END IF;
    NEW.decision := 'pending';
    NEW.approved_by_human := NULL;
    NEW.approved_at := NULL;
    NEW.review_note := NULL;
    NEW.generation := NEW.generation + 1;
    NEW.due_at := clock_timestamp();
    RETURN NEW;
END
$$;
-- As in 0004, but only where there is something that the evaluation has not seen: else no threshold and no rate can have been passed since.
DROP TRIGGER recurs ON public.recovery_candidates;
CREATE TRIGGER recurs BEFORE UPDATE OF occurrence_count, evaluated_count, decision, execution_status ON public.recovery_candidates
    FOR EACH ROW
    WHEN (NEW.generation = NEW.evaluated_generation AND NEW.evaluation_error IS NULL AND NEW.execution_status IS DISTINCT FROM 'executing'
          AND (NEW.occurrence_count > NEW.evaluated_count OR NEW.occurrence_count > OLD.occurrence_count))
    EXECUTE FUNCTION m10_recovery.candidate_recurs();

-- Inputs

-- A candidate as a decision sees it, all as of the moment `at`.
-- error_message: of a long one its beginning and its end. rates: [[seconds, how often seen within them], …].
-- past_of_code, past_of_fingerprint: [["action_code", helped, age in seconds], …] as text, the same text for the same code: the last 50
-- known outcomes for its error code, and for its fingerprint.
CREATE TYPE m10_recovery.evaluation_input AS (
    id bigint, generation int, evaluated_generation int, error_code text, error_message text, source text, fingerprint text,
    occurrence_count bigint, at timestamptz, since_executed interval, age interval, rates jsonb, past_of_code text, past_of_fingerprint text);

-- The last 50 outcomes that are known for each error code (kind code) and each fingerprint (kind fp). Nothing for one without.
CREATE FUNCTION m10_recovery.past_cases(p_codes text[], p_fingerprints text[], p_at timestamptz)
RETURNS TABLE (kind text, name text, cases text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
    SELECT 'code', k.name, jsonb_agg(jsonb_build_array(a.action_code, o.outcome = 'helped', extract(epoch FROM p_at - o.closed_at)::float8))::text
    FROM (SELECT DISTINCT left(g.code, 200) AS name FROM unnest(p_codes) AS g(code)) k,
         LATERAL (SELECT x.action_id, x.outcome, x.closed_at FROM m10_recovery.execution_outcome x
                  WHERE left(x.error_code, 200) = k.name AND x.outcome <> 'unknown' AND isfinite(x.closed_at)
                  ORDER BY x.closed_at DESC LIMIT 50) o
    JOIN m10_recovery.suggestion_action a ON a.id = o.action_id
    GROUP BY k.name
    UNION ALL
    SELECT 'fp', k.name, jsonb_agg(jsonb_build_array(a.action_code, o.outcome = 'helped', extract(epoch FROM p_at - o.closed_at)::float8))::text
    FROM (SELECT DISTINCT left(g.fingerprint, 200) AS name FROM unnest(p_fingerprints) AS g(fingerprint)) k,
         LATERAL (SELECT x.action_id, x.outcome, x.closed_at FROM m10_recovery.execution_outcome x
                  WHERE left(x.fingerprint, 200) = k.name AND x.outcome <> 'unknown' AND isfinite(x.closed_at)
                  ORDER BY x.closed_at DESC LIMIT 50) o
    JOIN m10_recovery.suggestion_action a ON a.id = o.action_id
    GROUP BY k.name
$$;

-- These candidates as an evaluation sees them, a row each. p_due_only: the history only of those that are due.
DROP FUNCTION m10_recovery.evaluation_inputs;
CREATE FUNCTION m10_recovery.evaluation_inputs(p_ids bigint[], p_due_only boolean DEFAULT true) RETURNS SETOF m10_recovery.evaluation_input
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, m10_recovery, pg_temp SET enable_seqscan = off SET jit = off AS $$
    WITH moment AS MATERIALIZED (
        SELECT clock_timestamp() AS at, ARRAY(SELECT DISTINCT w FROM unnest(s.rate_windows) w ORDER BY w) AS windows FROM m10_recovery.settings s
    ), wanted AS MATERIALIZED (
        SELECT c.id, c.generation, c.evaluated_generation, c.error_code,
               CASE WHEN length(c.error_message) > 16384 THEN left(c.error_message, 8192) || E'\n' || right(c.error_message, 8192)
                    ELSE c.error_message END AS error_message,
               c.source, c.fingerprint, c.occurrence_count, m.at,
               CASE WHEN c.last_executed_at >= '0001-01-02 00:00Z' AND c.last_executed_at < '9999-12-30 00:00Z'
                    THEN m.at - c.last_executed_at END AS since_executed,
               CASE WHEN c.created_at >= '0001-01-02 00:00Z' AND c.created_at < '9999-12-30 00:00Z' THEN m.at - c.created_at END AS age,
               CASE WHEN m.windows = '{}' THEN '[]' ELSE
                   (SELECT jsonb_agg(jsonb_build_array(w, round(m10_recovery.rate_at(c.rate_buckets, w, m.at)::numeric, 2)) ORDER BY w)
                    FROM unnest(m.windows) AS w) END AS rates
        FROM public.recovery_candidates c, moment m WHERE c.id = ANY (p_ids)
    ), known AS MATERIALIZED (
        SELECT p.* FROM (SELECT array_agg(w.error_code) AS codes, array_agg(w.fingerprint) AS fingerprints
                         FROM wanted w WHERE NOT p_due_only OR w.generation > w.evaluated_generation) g, moment m,
                        LATERAL m10_recovery.past_cases(g.codes, g.fingerprints, m.at) p
    )
    SELECT w.*, coalesce(code.cases, '[]'), coalesce(fp.cases, '[]')
    FROM wanted w
    LEFT JOIN known code ON code.kind = 'code' AND code.name = left(w.error_code, 200)
    LEFT JOIN known fp ON fp.kind = 'fp' AND fp.name = left(w.fingerprint, 200)
$$;

-- For a dry run, due or not: one candidate by its id or else by its identity; a row without an id, with the moment and the history of
-- p_code and p_fingerprint, where there is none.
DROP FUNCTION m10_recovery.preview_input;
CREATE FUNCTION m10_recovery.preview_input(p_candidate_id bigint, p_match_id uuid, p_signature text, p_code text, p_fingerprint text)
RETURNS SETOF m10_recovery.evaluation_input
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
    WITH found AS MATERIALIZED (
        SELECT i.* FROM m10_recovery.evaluation_inputs(ARRAY(
            SELECT c.id FROM public.recovery_candidates c
            WHERE c.id = p_candidate_id OR (c.failure_match_id = p_match_id AND c.error_signature = p_signature)), false) i
    )
    SELECT * FROM found
    UNION ALL
    SELECT NULL, NULL, NULL, p_code, NULL, NULL, p_fingerprint, NULL, m.at, NULL, NULL, '[]',
           coalesce(min(p.cases) FILTER (WHERE p.kind = 'code'), '[]'), coalesce(min(p.cases) FILTER (WHERE p.kind = 'fp'), '[]')
    FROM (SELECT clock_timestamp() AS at WHERE NOT EXISTS (SELECT FROM found)) m
    LEFT JOIN LATERAL m10_recovery.past_cases(ARRAY[p_code], ARRAY[p_fingerprint], m.at) p ON true
    GROUP BY m.at
$$;

-- The actions that may be taken, what each needs (what two people approve needs approval), and what came of it.
DROP FUNCTION m10_recovery.active_actions;
CREATE FUNCTION m10_recovery.active_actions()
RETURNS TABLE (action_code text, is_automated boolean, requires_approval boolean, known_outcomes bigint, successful_applications bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
    SELECT a.action_code, a.is_automated, a.requires_approval OR coalesce(s.autonomy -> 'four_eyes' ? a.action_code, false),
           a.total_applications - a.unknown_applications, a.successful_applications
    FROM m10_recovery.suggestion_action a CROSS JOIN m10_recovery.settings s
    WHERE a.is_active ORDER BY a.priority DESC, a.action_code
$$;
REVOKE EXECUTE ON FUNCTION m10_recovery.past_cases, m10_recovery.rates_counted, m10_recovery.rate_at FROM m10_app, m10_ops;
