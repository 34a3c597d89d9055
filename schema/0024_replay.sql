-- Dead letters in groups by cause; replays that can be stopped, resumed and accounted for; purges.

-- What a dead letter is about, written once, when it is archived: lists, groups and replays read no other table for it.
ALTER TABLE m10_recovery.dead_letter_archive
    ADD COLUMN stage text,                             -- evaluation, delivery, entry (of the stream) or other (of another program)
    ADD COLUMN fingerprint text,                       -- the same for the same cause
    ADD COLUMN error_code text,
    ADD COLUMN source text,
    ADD COLUMN message text,
    ADD COLUMN event_type text,
    ADD COLUMN destination text,
    ADD COLUMN replays int NOT NULL DEFAULT 0,         -- how often its lineage had been replayed when it died
    ADD COLUMN replayed_at timestamptz,
    ADD COLUMN replayed_as text,                       -- the message that it became: '<candidate_id>:<generation>' or 'outbox:<id>'
    ADD COLUMN is_counted boolean NOT NULL DEFAULT false;
CREATE INDEX ix_dead_letter_replayed_as ON m10_recovery.dead_letter_archive (replayed_as) WHERE replayed_as IS NOT NULL;
CREATE INDEX ix_dead_letter_uncounted ON m10_recovery.dead_letter_archive (id) WHERE replayed_at IS NOT NULL AND NOT is_counted;

-- A reason without what varies: the cause before the colon as it stands (http_500 and http_503 are two), numbers and ids masked after it.
CREATE FUNCTION m10_recovery.normalised_reason(p_reason text) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
    SELECT left(c.cause, 200)
           || left(regexp_replace(lower(substr(r.reason, length(c.cause) + 1, 500)), '\m(0x)?[0-9a-f-]*[0-9][0-9a-f-]*\M|[0-9]+', '#', 'g'), 200)
    FROM (SELECT coalesce(p_reason, 'unknown') AS reason) r, LATERAL (SELECT split_part(r.reason, ':', 1) AS cause) c
$$;

CREATE FUNCTION m10_recovery.dead_letter_described() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
DECLARE
    v_about text;  -- what it has in common with others of its group, beside stage and reason
BEGIN
    NEW.stage := CASE WHEN NEW.event_id IS NOT NULL THEN 'delivery'
                      WHEN NEW.original_msg_id ~ ('^' || NEW.candidate_id || ':[0-9]{1,9}$') THEN 'evaluation'
                      WHEN NEW.original_entry_id IS NOT NULL THEN 'entry'
                      ELSE 'other' END;
    SELECT left(c.error_code, 200), left(c.source, 200), left(c.error_message, 500), coalesce(c.fingerprint, left(c.error_code, 200))
    INTO NEW.error_code, NEW.source, NEW.message, v_about
    FROM public.recovery_candidates c WHERE c.id = NEW.candidate_id;
    IF NEW.stage = 'delivery' THEN
        SELECT left(o.event_type, 200), left(o.destination, 200), concat_ws(E'\n', left(o.event_type, 200), left(o.destination, 200))
        INTO NEW.event_type, NEW.destination, v_about
        FROM m10_recovery.outbox o WHERE o.id = NEW.event_id;
        SELECT d.replays + (d.replayed_at IS NOT NULL)::int INTO NEW.replays
        FROM m10_recovery.dead_letter_archive d WHERE d.original_msg_id = NEW.original_msg_id ORDER BY d.id DESC LIMIT 1;
    ELSIF NEW.stage = 'evaluation' THEN
        SELECT d.replays + 1 INTO NEW.replays
        FROM m10_recovery.dead_letter_archive d WHERE d.replayed_as = NEW.original_msg_id ORDER BY d.id DESC LIMIT 1;
    ELSIF jsonb_typeof(NEW.payload -> 'fields') = 'object' THEN
        -- Which program sent it shows in the names of its fields.
        SELECT string_agg(k.name, ' ' ORDER BY k.name) INTO v_about
        FROM (SELECT DISTINCT regexp_replace(left(n.name, 50), '[0-9]+', '#', 'g') AS name
              FROM jsonb_object_keys(NEW.payload -> 'fields') AS n(name) ORDER BY 1 LIMIT 10) k;
        NEW.message := left(NEW.payload ->> 'fields', 500);
    END IF;
    NEW.replays := coalesce(NEW.replays, 0);
    NEW.fingerprint := left(encode(sha256(convert_to(
        concat_ws(E'\n', NEW.stage, m10_recovery.normalised_reason(NEW.reason), v_about), 'UTF8')), 'hex'), 16);
    RETURN NEW;
END
$$;
CREATE TRIGGER described BEFORE INSERT ON m10_recovery.dead_letter_archive
    FOR EACH ROW EXECUTE FUNCTION m10_recovery.dead_letter_described();

-- Those that lie there already: what was replayed since, and what they are about.
UPDATE m10_recovery.dead_letter_archive d SET replayed_at = r.replayed_at
FROM m10_recovery.replay_log r WHERE r.dl_msg_id = d.dl_msg_id AND r.replayed_at IS NOT NULL;
CREATE TRIGGER described_late BEFORE UPDATE ON m10_recovery.dead_letter_archive
    FOR EACH ROW EXECUTE FUNCTION m10_recovery.dead_letter_described();
UPDATE m10_recovery.dead_letter_archive SET is_counted = replayed_at IS NOT NULL;
DROP TRIGGER described_late ON m10_recovery.dead_letter_archive;

-- Whoever writes a replay down, by whatever way, marks its dead letter: each death is replayed once.
CREATE FUNCTION m10_recovery.dead_letter_replayed() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
BEGIN
    UPDATE m10_recovery.dead_letter_archive d
    SET replayed_at = NEW.replayed_at, replayed_as = CASE WHEN d.stage = 'delivery' THEN NEW.original_msg_id ELSE NEW.new_msg_id END
    WHERE d.dl_msg_id = NEW.dl_msg_id AND d.replayed_at IS NULL;
    RETURN NULL;
END
$$;
REVOKE EXECUTE ON FUNCTION m10_recovery.dead_letter_replayed FROM m10_app, m10_ops;
CREATE TRIGGER replayed AFTER INSERT ON m10_recovery.replay_log FOR EACH ROW
    WHEN (NEW.dl_msg_id IS NOT NULL AND NEW.replayed_at IS NOT NULL)
    EXECUTE FUNCTION m10_recovery.dead_letter_replayed();

-- A dead letter as a list shows it; its cause is what its reason begins with (`destination_not_allowed: ...`).
DROP VIEW m10_recovery.dead_letter_summary;
CREATE VIEW m10_recovery.dead_letter_summary AS
    SELECT d.id, left(d.dl_msg_id, 200) AS dl_msg_id, d.stage, d.fingerprint,
           left(split_part(coalesce(d.reason, 'unknown'), ':', 1), 200) AS cause, left(d.reason, 2000) AS reason,
           left(d.original_msg_id, 200) AS original_msg_id, d.candidate_id, d.event_id, d.error_code, d.source, d.message, d.event_type,
           d.destination, d.reclaim_count, d.replays, m10_recovery.readable(d.dead_lettered_at) AS dead_lettered_at,
           m10_recovery.readable(d.replayed_at) AS replayed_at
    FROM m10_recovery.dead_letter_archive d;

-- The dead letters that a filter means, newest first, among those that are looked at, the newest first too (NULL: all of them).
-- A condition that is absent is none. state: waiting (not replayed yet) or replayed. reason: the whole of it, or its cause.
CREATE FUNCTION m10_recovery.dead_letters_like(p_filter jsonb, p_searched bigint, p_limit bigint) RETURNS SETOF m10_recovery.dead_letter_summary
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
DECLARE
    f record;
BEGIN
    SELECT * INTO f
    FROM jsonb_to_record(p_filter) AS g(ids bigint[], stage text, reason text, fingerprint text, since timestamptz, until timestamptz,
         event_type text, destination text, source text, code text, state text);
    RETURN QUERY
    SELECT s.*
    FROM (SELECT * FROM m10_recovery.dead_letter_summary d ORDER BY d.id DESC LIMIT p_searched) s
    WHERE (f.ids IS NULL OR s.id = ANY (f.ids))
      AND (f.stage IS NULL OR s.stage = f.stage)
      AND (f.reason IS NULL OR s.cause = f.reason OR s.reason = f.reason)
      AND (f.fingerprint IS NULL OR s.fingerprint = f.fingerprint)
      AND (f.since IS NULL OR s.dead_lettered_at >= f.since)
      AND (f.until IS NULL OR s.dead_lettered_at < f.until)
      AND (f.event_type IS NULL OR s.event_type = f.event_type)
      AND (f.destination IS NULL OR s.destination = f.destination)
      AND (f.source IS NULL OR s.source = f.source)
      AND (f.code IS NULL OR s.error_code = f.code)
      AND (f.state IS NULL OR (s.replayed_at IS NULL) = (f.state = 'waiting'))
    ORDER BY s.id DESC LIMIT p_limit;
END
$$;

-- Whether dead letters can be replayed: NULL, or why not.
--   replayed    it was; where it died again, that death is a dead letter of its own
--   needs_edit  an entry that nobody can read        not_ours   another program's, which alone knows what it is
--   not_found   its candidate or event is gone       in_hand    its candidate is due already, or its event open
--   superseded  evaluated, or dead again, since      delivered  its event was
--   newer_round its candidate has published its next round since (resend_event looks closer)
--   capped      its lineage was replayed p_cap times
CREATE FUNCTION m10_recovery.replay_refusals(p_ids bigint[], p_cap int) RETURNS TABLE (id bigint, refused text)
LANGUAGE sql STABLE SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
    SELECT d.id, CASE
        WHEN d.replayed_at IS NOT NULL THEN 'replayed'
        WHEN d.stage = 'entry' THEN 'needs_edit'
        WHEN d.stage = 'other' THEN 'not_ours'
        WHEN d.stage = 'evaluation' AND c.id IS NULL OR d.stage = 'delivery' AND o.id IS NULL THEN 'not_found'
        WHEN c.generation > c.evaluated_generation OR o.processed_at IS NULL AND o.dead_at IS NULL AND o.id IS NOT NULL THEN 'in_hand'
        WHEN d.stage = 'evaluation' AND (c.evaluation_error IS NULL OR c.id || ':' || c.generation <> d.original_msg_id) THEN 'superseded'
        WHEN o.processed_at IS NOT NULL THEN 'delivered'
        WHEN EXISTS (SELECT FROM m10_recovery.dead_letter_archive n WHERE n.original_msg_id = d.original_msg_id AND n.id > d.id) THEN 'superseded'
        WHEN e.round > o.round AND coalesce(e.execution_status, 'pending') <> 'pending' THEN 'newer_round'
        WHEN d.replays >= p_cap THEN 'capped' END
    FROM m10_recovery.dead_letter_archive d
    LEFT JOIN public.recovery_candidates c ON c.id = d.candidate_id AND d.stage = 'evaluation'
    LEFT JOIN m10_recovery.outbox o ON o.id = d.event_id
    LEFT JOIN public.recovery_candidates e ON e.id = o.candidate_id
    WHERE d.id = ANY (p_ids)
$$;

-- A replay of many: what it is to do, how far it has come, and who asked for it and why. Its items are drawn up when it begins; what
-- becomes of each stands here, so that whoever goes on after a kill goes on exactly.
CREATE TABLE m10_recovery.replay_run (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    wanted      jsonb NOT NULL,                             -- the filter, as dead_letters_like takes it
    cap         int NOT NULL CHECK (cap > 0),
    stop_at     float8 NOT NULL CHECK (stop_at BETWEEN 0 AND 1),
    state       text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'stopped', 'done', 'cancelled')),
    phase       text NOT NULL DEFAULT 'first',
    judged_from int NOT NULL DEFAULT 0,                     -- items up to here belong to a trial that is over
    note        text,                                       -- where and why it stands
    asked_by    text NOT NULL,
    why         text NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    steps       jsonb NOT NULL DEFAULT '[]'                 -- what happened to it: at, by, what
);
CREATE UNIQUE INDEX uq_replay_open ON m10_recovery.replay_run (state) WHERE state = 'open';  -- one at a time
CREATE TABLE m10_recovery.replay_item (
    run_id          bigint NOT NULL REFERENCES m10_recovery.replay_run ON DELETE CASCADE,
    nth             int NOT NULL,
    dead_letter_id  bigint NOT NULL,
    state           text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'replayed', 'refused')),
    refused         text,
    message_id      text,                                   -- what it became
    ended           text CHECK (ended IN ('well', 'dead')),
    PRIMARY KEY (run_id, nth)
);
CREATE INDEX ix_replay_item_waiting ON m10_recovery.replay_item (run_id, nth) WHERE state = 'waiting';
CREATE INDEX ix_replay_item_under_way ON m10_recovery.replay_item (run_id, nth) WHERE state = 'replayed' AND ended IS NULL;

-- What a replay would do, in numbers: of each group how many, and why those not that are refused.
CREATE FUNCTION m10_recovery.plan_replay(p_filter jsonb, p_cap int, p_most int)
RETURNS TABLE (stage text, fingerprint text, cause text, refused text, count bigint, sample_id bigint)
LANGUAGE sql STABLE SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
    WITH meant AS MATERIALIZED (
        SELECT s.id, s.stage, s.fingerprint, s.cause FROM m10_recovery.dead_letters_like(p_filter, NULL, NULL) s ORDER BY s.id LIMIT p_most
    )
    SELECT m.stage, m.fingerprint, min(m.cause), r.refused, count(*), max(m.id)
    FROM meant m JOIN m10_recovery.replay_refusals((SELECT array_agg(m.id) FROM meant m), p_cap) r USING (id)
    GROUP BY 1, 2, 4 ORDER BY 5 DESC, 1, 2, 4
$$;

-- Begins a replay and draws up its items. Each group has its turn, so that the first percent holds something of all; within its group the
-- oldest comes first. NULL where nothing of the filter can be replayed.
CREATE FUNCTION m10_recovery.begin_replay(p_filter jsonb, p_cap int, p_most int, p_stop_at float8, p_by text, p_why text) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
DECLARE
    v_run bigint;
BEGIN
    INSERT INTO m10_recovery.replay_run (wanted, cap, stop_at, asked_by, why)
    VALUES (p_filter, p_cap, p_stop_at, p_by, p_why) RETURNING id INTO v_run;
    WITH meant AS MATERIALIZED (
        SELECT s.id, s.fingerprint FROM m10_recovery.dead_letters_like(p_filter, NULL, NULL) s ORDER BY s.id LIMIT p_most
    ), turns AS (
        SELECT m.id, row_number() OVER (PARTITION BY m.fingerprint ORDER BY m.id) AS turn
        FROM meant m JOIN m10_recovery.replay_refusals((SELECT array_agg(m.id) FROM meant m), p_cap) r USING (id)
        WHERE r.refused IS NULL
    )
    INSERT INTO m10_recovery.replay_item (run_id, nth, dead_letter_id)
    SELECT v_run, row_number() OVER (ORDER BY t.turn, t.id), t.id FROM turns t;
    IF NOT FOUND THEN
        DELETE FROM m10_recovery.replay_run r WHERE r.id = v_run;
        RETURN NULL;
    END IF;
    RETURN v_run;
END
$$;

-- Replays the next items, in one transaction with all that tells of it; only with the live lock in this epoch (else M1002).
-- Nothing of one that is not open. generation: of evaluations, what became due, for its message.
CREATE FUNCTION m10_recovery.replay_items(p_run bigint, p_holder text, p_epoch bigint, p_by text, p_limit int)
RETURNS TABLE (dl_msg_id text, stage text, refused text, candidate_id bigint, generation int)
LANGUAGE plpgsql SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
#variable_conflict use_column
DECLARE
    v_run m10_recovery.replay_run;
    v_nths int[];
    v_letters bigint[];
BEGIN
    PERFORM m10_recovery.demand_lease('dlq_replay', p_holder, p_epoch);
    SELECT * INTO v_run FROM m10_recovery.replay_run r WHERE r.id = p_run AND r.state = 'open' FOR SHARE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    SELECT array_agg(i.nth), array_agg(i.dead_letter_id) INTO v_nths, v_letters
    FROM (SELECT * FROM m10_recovery.replay_item i WHERE i.run_id = p_run AND i.state = 'waiting' ORDER BY i.nth LIMIT p_limit) i;

    -- In the order of settle_events, events first, then candidates; what is judged after it stays so until the commit.
    PERFORM FROM m10_recovery.outbox o
    WHERE o.id IN (SELECT d.event_id FROM m10_recovery.dead_letter_archive d WHERE d.id = ANY (v_letters)) ORDER BY o.id FOR UPDATE;
    PERFORM FROM public.recovery_candidates c
    WHERE c.id IN (SELECT d.candidate_id FROM m10_recovery.dead_letter_archive d WHERE d.id = ANY (v_letters))
    ORDER BY c.failure_match_id, c.error_signature FOR UPDATE;

    UPDATE m10_recovery.replay_item i SET state = 'refused', refused = coalesce(r.refused, 'not_found')
    FROM unnest(v_letters) AS l(id) LEFT JOIN m10_recovery.replay_refusals(v_letters, v_run.cap) r ON r.id = l.id
    WHERE i.run_id = p_run AND i.nth = ANY (v_nths) AND i.dead_letter_id = l.id AND (r.id IS NULL OR r.refused IS NOT NULL);

    WITH sent AS MATERIALIZED (
        SELECT i.nth, d.event_id, nullif(e.outcome, 'resent') AS refused
        FROM m10_recovery.replay_item i JOIN m10_recovery.dead_letter_archive d ON d.id = i.dead_letter_id,
             LATERAL m10_recovery.resend_event(d.event_id, p_by, v_run.why, false) e
        WHERE i.run_id = p_run AND i.nth = ANY (v_nths) AND i.state = 'waiting' AND d.stage = 'delivery'
    )
    UPDATE m10_recovery.replay_item i
    SET state = CASE WHEN s.refused IS NULL THEN 'replayed' ELSE 'refused' END, refused = s.refused,
        message_id = CASE WHEN s.refused IS NULL THEN 'outbox:' || s.event_id END
    FROM sent s WHERE i.run_id = p_run AND i.nth = s.nth;

    WITH raised AS (
        UPDATE public.recovery_candidates c
        SET generation = c.generation + 1, due_at = clock_timestamp(), evaluation_error = NULL, updated_at = now()
        FROM m10_recovery.replay_item i JOIN m10_recovery.dead_letter_archive d ON d.id = i.dead_letter_id
        WHERE i.run_id = p_run AND i.nth = ANY (v_nths) AND i.state = 'waiting' AND c.id = d.candidate_id
        RETURNING i.nth, d.id AS letter, d.dl_msg_id, d.original_msg_id, c.id, c.generation, c.id || ':' || c.generation AS message_id
    ), proven AS (
        INSERT INTO m10_recovery.suggestion_provenance (suggestion_id, event_type, details, actor, actor_type)
        SELECT a.id, 'replayed', jsonb_build_object('generation', a.generation, 'run', p_run, 'why', v_run.why), p_by, 'human' FROM raised a
    ), logged AS (
        -- Its key stands once for all: of two that would replay one death, one fails.
        INSERT INTO m10_recovery.replay_log
            (message_id, original_msg_id, dl_msg_id, candidate_id, new_msg_id, replayed_at, replayed_by, why)
        SELECT 'replayed:' || coalesce(a.dl_msg_id, 'archive:' || a.letter), a.original_msg_id, a.dl_msg_id, a.id, a.message_id,
               clock_timestamp(), p_by, v_run.why
        FROM raised a
    )
    UPDATE m10_recovery.replay_item i SET state = 'replayed', message_id = a.message_id
    FROM raised a WHERE i.run_id = p_run AND i.nth = a.nth;

    RETURN QUERY
    SELECT d.dl_msg_id, d.stage, i.refused, d.candidate_id,
           CASE WHEN d.stage = 'evaluation' THEN split_part(i.message_id, ':', 2)::int END
    FROM m10_recovery.replay_item i LEFT JOIN m10_recovery.dead_letter_archive d ON d.id = i.dead_letter_id
    WHERE i.run_id = p_run AND i.nth = ANY (v_nths) ORDER BY i.nth;
END
$$;

-- How a replay stands: what came to an end since is written, then everything is counted. An event that has failed since and will be tried
-- again is `failing`. Of the newest p_window items after judged_from that have ended or are failing: how many, and how many not well.
CREATE FUNCTION m10_recovery.tally_replay(p_run bigint, p_window int)
RETURNS TABLE (total bigint, waiting bigint, refused bigint, replayed bigint, well bigint, dead bigint, failing bigint,
               tried bigint, tried_ended bigint, judged bigint, judged_bad bigint)
LANGUAGE plpgsql SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
#variable_conflict use_column
DECLARE
    v_failing int[];
BEGIN
    WITH looked AS MATERIALIZED (
        SELECT i.nth, CASE
            WHEN d.stage = 'delivery' THEN CASE
                WHEN o.id IS NULL OR o.processed_at IS NOT NULL THEN 'well'
                WHEN o.dead_at IS NOT NULL THEN 'dead'
                WHEN o.retry_count + o.unreachable_count > 0 THEN 'failing' END
            WHEN EXISTS (SELECT FROM m10_recovery.dead_letter_archive n WHERE n.original_msg_id = i.message_id) THEN 'dead'
            WHEN c.id IS NULL OR c.evaluated_generation >= split_part(i.message_id, ':', 2)::int THEN 'well' END AS state
        FROM m10_recovery.replay_item i
        LEFT JOIN m10_recovery.dead_letter_archive d ON d.id = i.dead_letter_id
        LEFT JOIN m10_recovery.outbox o ON o.id = d.event_id
        LEFT JOIN public.recovery_candidates c ON c.id = d.candidate_id
        WHERE i.run_id = p_run AND i.state = 'replayed' AND i.ended IS NULL
    ), ended AS (
        UPDATE m10_recovery.replay_item i SET ended = l.state
        FROM looked l WHERE i.run_id = p_run AND i.nth = l.nth AND l.state IN ('well', 'dead')
    )
    SELECT coalesce(array_agg(l.nth) FILTER (WHERE l.state = 'failing'), '{}') INTO v_failing FROM looked l;
    RETURN QUERY
    WITH items AS MATERIALIZED (
        SELECT i.nth, i.state, i.ended, i.nth = ANY (v_failing) AS is_failing, i.nth > r.judged_from AND i.state = 'replayed' AS is_tried
        FROM m10_recovery.replay_item i JOIN m10_recovery.replay_run r ON r.id = i.run_id WHERE i.run_id = p_run
    ), newest AS (
        SELECT i.ended IS DISTINCT FROM 'well' AS is_bad FROM items i
        WHERE i.is_tried AND (i.ended IS NOT NULL OR i.is_failing) ORDER BY i.nth DESC LIMIT p_window
    )
    SELECT count(*), count(*) FILTER (WHERE i.state = 'waiting'), count(*) FILTER (WHERE i.state = 'refused'),
           count(*) FILTER (WHERE i.state = 'replayed'), count(*) FILTER (WHERE i.ended = 'well'), count(*) FILTER (WHERE i.ended = 'dead'),
           count(*) FILTER (WHERE i.is_failing), count(*) FILTER (WHERE i.is_tried),
           count(*) FILTER (WHERE i.is_tried AND (i.ended IS NOT NULL OR i.is_failing)),
           (SELECT count(*) FROM newest), (SELECT count(*) FROM newest n WHERE n.is_bad)
    FROM items i;
END
$$;

-- Writes what happened to a replay: its state and phase, where it stands, and a line of its history. One that is over stays as it is. Whoever
-- takes it up again after it had stopped begins a new trial: what was replayed before is judged no more.
CREATE FUNCTION m10_recovery.note_replay(p_run bigint, p_by text, p_what text, p_state text, p_phase text) RETURNS SETOF m10_recovery.replay_run
LANGUAGE plpgsql SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
BEGIN
    UPDATE m10_recovery.replay_run r
    SET state = p_state, phase = p_phase, note = p_what, updated_at = clock_timestamp(),
        judged_from = CASE WHEN r.state = 'stopped' AND p_state = 'open' THEN
            (SELECT coalesce(max(i.nth), 0) FROM m10_recovery.replay_item i WHERE i.run_id = r.id AND i.state <> 'waiting')
            ELSE r.judged_from END,
        steps = r.steps || jsonb_build_array(jsonb_build_object('at', clock_timestamp(), 'by', p_by, 'what', p_what, 'phase', p_phase))
    WHERE r.id = p_run AND r.state IN ('open', 'stopped');
    RETURN QUERY SELECT * FROM m10_recovery.replay_run r WHERE r.id = p_run;
END
$$;

-- An entry that a person has made readable: which generation its message is to name. outcome: replayed, not_found (no such candidate),
-- other_generation (the one that it names is not the one that is due), nothing_due (its candidate was evaluated: settled without a message),
-- already_replayed, not_an_entry.
CREATE FUNCTION m10_recovery.replay_entry(p_letter bigint, p_candidate_id bigint, p_generation int, p_by text, p_why text)
RETURNS TABLE (outcome text, dl_msg_id text, generation int)
LANGUAGE plpgsql SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
#variable_conflict use_column
DECLARE
    d m10_recovery.dead_letter_archive;
    c public.recovery_candidates;
    v_outcome text;
BEGIN
    SELECT * INTO d FROM m10_recovery.dead_letter_archive a WHERE a.id = p_letter FOR UPDATE;
    SELECT * INTO c FROM public.recovery_candidates r WHERE r.id = p_candidate_id FOR UPDATE;
    v_outcome := CASE
        WHEN d.stage IS DISTINCT FROM 'entry' THEN 'not_an_entry'
        WHEN d.replayed_at IS NOT NULL THEN 'already_replayed'
        WHEN c.id IS NULL THEN 'not_found'
        WHEN c.generation = c.evaluated_generation THEN 'nothing_due'
        WHEN p_generation <> c.generation THEN 'other_generation'
        ELSE 'replayed' END;
    IF v_outcome IN ('replayed', 'nothing_due') THEN
        INSERT INTO m10_recovery.replay_log
            (message_id, original_msg_id, dl_msg_id, candidate_id, new_msg_id, replayed_at, replayed_by, why)
        VALUES ('replayed:' || coalesce(d.dl_msg_id, 'archive:' || d.id), d.original_msg_id, d.dl_msg_id, c.id,
                CASE WHEN v_outcome = 'replayed' THEN c.id || ':' || c.generation END, clock_timestamp(), p_by, p_why);
        INSERT INTO m10_recovery.suggestion_provenance (suggestion_id, event_type, details, actor, actor_type)
        VALUES (c.id, 'replayed', jsonb_build_object('generation', c.generation, 'dead_letter', d.id, 'why', p_why), p_by, 'human');
    END IF;
    RETURN QUERY SELECT v_outcome, d.dl_msg_id, c.generation;
END
$$;

-- Purges: dead letters that nobody wants any more. Their copies in the stream leave it at the next reconciliation, which must not archive
-- them again: until it has seen the whole stream, their names stay here.
CREATE TABLE m10_recovery.dead_letter_gone (
    dl_msg_id  text PRIMARY KEY,
    gone_at    timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE TABLE m10_recovery.dead_letter_purge (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    wanted    jsonb NOT NULL,
    purged    bigint NOT NULL DEFAULT 0,
    asked_by  text NOT NULL,
    why       text NOT NULL,
    began_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    ended_at  timestamptz
);

-- Deletes one batch of what a filter means; how many. Kept is what was replayed and has not come to an end: were it to die again, nobody
-- would know how often it was replayed.
CREATE FUNCTION m10_recovery.purge_dead_letters(p_purge bigint, p_limit int) RETURNS int
LANGUAGE plpgsql SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
DECLARE
    v_count int;
BEGIN
    WITH meant AS MATERIALIZED (
        SELECT m.id FROM m10_recovery.purgeable((SELECT p.wanted FROM m10_recovery.dead_letter_purge p WHERE p.id = p_purge)) m
        ORDER BY m.id LIMIT p_limit
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
CREATE FUNCTION m10_recovery.purgeable(p_filter jsonb)
RETURNS TABLE (id bigint, stage text, fingerprint text, cause text, is_replayed boolean)
LANGUAGE sql STABLE SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
    SELECT s.id, s.stage, s.fingerprint, s.cause, s.replayed_at IS NOT NULL
    FROM m10_recovery.dead_letters_like(p_filter, NULL, NULL) s
    LEFT JOIN m10_recovery.outbox o ON o.id = s.event_id
    LEFT JOIN public.recovery_candidates c ON c.id = s.candidate_id AND s.stage = 'evaluation'
    WHERE s.replayed_at IS NULL
       OR (o.id IS NULL OR o.processed_at IS NOT NULL OR o.dead_at IS NOT NULL)
          AND (c.id IS NULL OR c.generation = c.evaluated_generation)
$$;

-- Reconciliation, a page of the dead-letter stream: archives what is not yet, and says of each entry how it stands: archived (just now),
-- kept, or settled: replayed or purged, so that its copy may leave.
CREATE FUNCTION m10_recovery.reconcile_copies(p_dl_msg_ids text[], p_payloads jsonb[], p_reasons text[], p_entry_ids text[])
RETURNS TABLE (entry_id text, state text)
LANGUAGE sql SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
    WITH given AS MATERIALIZED (
        SELECT n.*, d.id IS NOT NULL AS is_known, d.replayed_at IS NOT NULL OR g.dl_msg_id IS NOT NULL AS is_settled
        FROM unnest(p_dl_msg_ids, p_payloads, p_reasons, p_entry_ids) AS n(dl_msg_id, payload, reason, entry_id)
        LEFT JOIN m10_recovery.dead_letter_archive d ON d.dl_msg_id = n.dl_msg_id
        LEFT JOIN m10_recovery.dead_letter_gone g ON g.dl_msg_id = n.dl_msg_id
    ), archived AS (
        INSERT INTO m10_recovery.dead_letter_archive (dl_msg_id, payload, reason, original_entry_id, archived_by)
        SELECT DISTINCT ON (n.dl_msg_id) n.dl_msg_id, n.payload, n.reason, n.entry_id, 'dl_reconcile'
        FROM given n WHERE NOT n.is_known AND NOT n.is_settled
        ORDER BY n.dl_msg_id
        ON CONFLICT (dl_msg_id) DO NOTHING
        RETURNING original_entry_id)
    SELECT n.entry_id, CASE WHEN n.is_settled THEN 'settled' WHEN a.original_entry_id IS NOT NULL THEN 'archived' ELSE 'kept' END
    FROM given n LEFT JOIN archived a ON a.original_entry_id = n.entry_id
$$;

-- Which of these messages are dead letters, so that nobody needs their entries: an evaluation by its name, a malformed entry by its dl_msg_id.
CREATE FUNCTION m10_recovery.dead_among(p_names text[]) RETURNS SETOF text
LANGUAGE sql STABLE SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
    SELECT n FROM unnest(p_names) AS n
    WHERE EXISTS (SELECT FROM m10_recovery.dead_letter_archive d WHERE d.original_msg_id = n AND d.stage = 'evaluation')
       OR EXISTS (SELECT FROM m10_recovery.dead_letter_archive d WHERE d.dl_msg_id = n)
$$;
REVOKE EXECUTE ON FUNCTION m10_recovery.normalised_reason, m10_recovery.dead_letter_described, m10_recovery.dead_letters_like,
    m10_recovery.replay_refusals, m10_recovery.plan_replay, m10_recovery.begin_replay, m10_recovery.replay_items, m10_recovery.tally_replay,
    m10_recovery.note_replay, m10_recovery.replay_entry, m10_recovery.purge_dead_letters, m10_recovery.purgeable,
    m10_recovery.reconcile_copies, m10_recovery.dead_among FROM m10_app;
