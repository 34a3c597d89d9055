-- Outbox and provenance are cut into stretches of their ids, so that what has passed its retention goes as a whole (docs/storage.md).
-- The id stays the key, and unique. Ids are given in the order of time, so that a stretch of ids is one of time. What no partition was made
-- for, and what is kept of a partition that goes, stands in the default one: no insert ever fails for want of a partition.

-- What was there becomes the first partition, as it lies, with its indexes.
LOCK TABLE public.recovery_candidates, m10_recovery.outbox, m10_recovery.suggestion_provenance IN ACCESS EXCLUSIVE MODE;
DROP TRIGGER event_closed ON m10_recovery.outbox;
DROP TRIGGER event_deleted ON m10_recovery.outbox;
DROP TRIGGER append_only ON m10_recovery.suggestion_provenance;
ALTER TABLE m10_recovery.outbox RENAME TO outbox_0;
ALTER TABLE m10_recovery.suggestion_provenance RENAME TO suggestion_provenance_0;
DO $$
DECLARE
    i record;
BEGIN
    FOR i IN SELECT c.relname AS name FROM pg_index x JOIN pg_class c ON c.oid = x.indexrelid
             WHERE x.indrelid IN ('m10_recovery.outbox_0'::regclass, 'm10_recovery.suggestion_provenance_0'::regclass) LOOP
        EXECUTE format('ALTER INDEX m10_recovery.%I RENAME TO %I', i.name, i.name || '_0');
    END LOOP;
    -- The sequence of an identity column goes with it; the ids go on where they were.
    CREATE SEQUENCE m10_recovery.next_id;
    PERFORM setval('m10_recovery.next_id', s.last_value, s.is_called) FROM m10_recovery.suggestion_provenance_id_seq s;
    ALTER TABLE m10_recovery.suggestion_provenance_0 ALTER COLUMN id DROP IDENTITY;
    ALTER SEQUENCE m10_recovery.next_id RENAME TO suggestion_provenance_id_seq;
END
$$;

CREATE TABLE m10_recovery.outbox (LIKE m10_recovery.outbox_0 INCLUDING DEFAULTS, PRIMARY KEY (id)) PARTITION BY RANGE (id);
ALTER SEQUENCE m10_recovery.outbox_id_seq OWNED BY m10_recovery.outbox.id;
CREATE INDEX ix_outbox_open ON m10_recovery.outbox (process_after, id) WHERE processed_at IS NULL AND dead_at IS NULL;
CREATE INDEX ix_outbox_order ON m10_recovery.outbox (aggregate_type, aggregate_id, id) WHERE processed_at IS NULL AND dead_at IS NULL;
CREATE INDEX ix_outbox_ready ON m10_recovery.outbox ((coalesce(destination, '')), process_after, id)
    WHERE processed_at IS NULL AND dead_at IS NULL AND waits_behind IS NULL;
CREATE INDEX ix_outbox_behind ON m10_recovery.outbox (waits_behind) WHERE waits_behind IS NOT NULL;
CREATE INDEX ix_outbox_candidate ON m10_recovery.outbox (candidate_id, id) WHERE candidate_id IS NOT NULL;
CREATE INDEX ix_outbox_dead ON m10_recovery.outbox (dead_at) WHERE dead_at IS NOT NULL;
CREATE TRIGGER event_closed AFTER UPDATE OF processed_at, dead_at ON m10_recovery.outbox FOR EACH ROW
    WHEN (OLD.processed_at IS NULL AND OLD.dead_at IS NULL AND (NEW.processed_at IS NOT NULL OR NEW.dead_at IS NOT NULL))
    EXECUTE FUNCTION m10_recovery.call_back_events();
CREATE TRIGGER event_deleted AFTER DELETE ON m10_recovery.outbox FOR EACH ROW
    WHEN (OLD.processed_at IS NULL AND OLD.dead_at IS NULL)
    EXECUTE FUNCTION m10_recovery.call_back_events();

CREATE TABLE m10_recovery.suggestion_provenance (
    LIKE m10_recovery.suggestion_provenance_0 INCLUDING DEFAULTS, PRIMARY KEY (id),
    CONSTRAINT suggestion_provenance_suggestion_id_fkey FOREIGN KEY (suggestion_id) REFERENCES public.recovery_candidates ON DELETE CASCADE,
    CONSTRAINT suggestion_provenance_action_id_fkey FOREIGN KEY (action_id) REFERENCES m10_recovery.suggestion_action
) PARTITION BY RANGE (id);
ALTER TABLE m10_recovery.suggestion_provenance ALTER COLUMN id SET DEFAULT nextval('m10_recovery.suggestion_provenance_id_seq');
ALTER SEQUENCE m10_recovery.suggestion_provenance_id_seq OWNED BY m10_recovery.suggestion_provenance.id;
CREATE INDEX ix_provenance_suggestion ON m10_recovery.suggestion_provenance (suggestion_id, id);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON m10_recovery.suggestion_provenance
    FOR EACH ROW EXECUTE FUNCTION m10_recovery.provenance_is_append_only();

-- As in 0019, but only the partitions of younger events are looked into, since those that wait are younger; planned once: for one event the plan
-- costs more than its execution.
CREATE OR REPLACE FUNCTION m10_recovery.call_back_events() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, m10_recovery, pg_temp SET plan_cache_mode = force_generic_plan AS $$
BEGIN
    UPDATE m10_recovery.outbox o SET waits_behind = NULL WHERE o.waits_behind = OLD.id AND o.id > OLD.id;
    RETURN NULL;
END
$$;

-- Each new partition is empty when the plans that a session keeps are made for it, and then is not.
ALTER FUNCTION m10_recovery.settle_events SET enable_seqscan = off;

-- Views know their tables by number: those of the old ones read the new ones from here on, in the words that they had. And whoever was given
-- rights on the old ones has them on the new.
DO $$
DECLARE
    v record;
BEGIN
    FOR v IN SELECT DISTINCT c.oid, pg_get_viewdef(c.oid) AS definition
             FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid AND d.classid = 'pg_rewrite'::regclass JOIN pg_class c ON c.oid = r.ev_class
             WHERE d.refobjid IN ('m10_recovery.outbox_0'::regclass, 'm10_recovery.suggestion_provenance_0'::regclass) LOOP
        EXECUTE format('CREATE OR REPLACE VIEW %s AS %s', v.oid::regclass,
                       regexp_replace(v.definition, '\y(outbox|suggestion_provenance)_0\y', '\1', 'g'));
    END LOOP;
    FOR v IN SELECT format('GRANT %s%s ON m10_recovery.%I TO %s%s', a.privilege_type, r.columns, left(c.relname, -2),
                           CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END,
                           CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' END) AS statement
             FROM pg_class c, LATERAL (SELECT c.relacl AS acl, '' AS columns
                                       UNION ALL
                                       SELECT n.attacl, format(' (%I)', n.attname) FROM pg_attribute n WHERE n.attrelid = c.oid) r,
                  LATERAL aclexplode(r.acl) a
             WHERE c.oid IN ('m10_recovery.outbox_0'::regclass, 'm10_recovery.suggestion_provenance_0'::regclass) LOOP
        EXECUTE v.statement;
    END LOOP;
END
$$;

-- Partitions

-- How a partition of each table is stored. An event is changed twice: half a page is left for its claim, which changes no index, and what that
-- leaves is the room of its completion. Provenance is only written.
CREATE FUNCTION m10_recovery.partition_storage(p_table text) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
    SELECT CASE p_table
        WHEN 'outbox' THEN 'fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 5000,'
                           ' autovacuum_vacuum_cost_limit = 2000, autovacuum_analyze_scale_factor = 0.05'
        WHEN 'suggestion_provenance' THEN 'fillfactor = 100, autovacuum_vacuum_insert_scale_factor = 0.1,'
                                          ' autovacuum_analyze_scale_factor = 0.1' END
$$;

-- Of a table its partitions with bounds, in their order: first_id .. bound - 1; first_id NULL is no lower bound. The default one is not among them.
CREATE FUNCTION m10_recovery.partitions(p_table text) RETURNS TABLE (name text, first_id bigint, bound bigint)
LANGUAGE sql STABLE SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
    SELECT c.relname::text, (m.part)[1]::bigint, (m.part)[2]::bigint
    FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid,
         LATERAL regexp_match(pg_get_expr(c.relpartbound, c.oid), 'FROM \((?:MINVALUE|''?(-?\d+)''?)\) TO \(''?(-?\d+)''?\)') AS m(part)
    WHERE i.inhparent = format('m10_recovery.%I', p_table)::regclass AND m.part IS NOT NULL
    ORDER BY (m.part)[2]::bigint
$$;

-- The last id that was given.
CREATE FUNCTION m10_recovery.last_id(p_table text) RETURNS bigint
LANGUAGE sql STABLE SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
    SELECT coalesce(pg_sequence_last_value(format('m10_recovery.%I', p_table || '_id_seq')::regclass), 0)
$$;

-- Keeps everybody from a table for a moment, and from those that it refers to, in the order in which the pipeline takes them.
CREATE FUNCTION m10_recovery.hold_table(p_table text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
BEGIN
    IF p_table = 'suggestion_provenance' THEN
        LOCK TABLE ONLY public.recovery_candidates, ONLY m10_recovery.suggestion_action IN ACCESS EXCLUSIVE MODE;
    END IF;
    EXECUTE format('LOCK TABLE ONLY m10_recovery.%I IN ACCESS EXCLUSIVE MODE', p_table);
END
$$;

-- Makes partitions ahead, so that the next ids have theirs: each with a quarter of the ids that the table spans, p_least .. 4 * p_least; how many.
-- Ids that are in the default partition already stay there. 55P03 where the table is in use: the next call comes in a moment. 54000 where so much
-- is in the default partition that nobody may be kept waiting while PostgreSQL reads it; retention empties it.
CREATE FUNCTION m10_recovery.add_partitions(p_table text, p_least bigint, p_most_bytes bigint DEFAULT 1073741824) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, m10_recovery, pg_temp SET lock_timeout = '200ms' AS $$
DECLARE
    v_first bigint;
    v_bound bigint;
    v_width bigint;
    v_past bigint;
    v_made int := 0;
BEGIN
    SELECT coalesce(min(p.first_id), 1), max(p.bound) INTO v_first, v_bound FROM m10_recovery.partitions(p_table) p;
    v_width := greatest(p_least, least(4 * p_least, (m10_recovery.last_id(p_table) - v_first) / 4));
    IF v_bound - m10_recovery.last_id(p_table) > v_width THEN
        RETURN 0;
    END IF;
    IF pg_relation_size(format('m10_recovery.%I', p_table || '_default')) > p_most_bytes THEN
        RAISE EXCEPTION 'the default partition of % is larger than % bytes', p_table, p_most_bytes USING ERRCODE = '54000';
    END IF;
    PERFORM m10_recovery.hold_table(p_table);
    WHILE v_bound IS NULL OR v_bound - m10_recovery.last_id(p_table) <= v_width LOOP
        v_first := greatest(v_bound, m10_recovery.last_id(p_table) + 1);
        LOOP
            EXECUTE format('SELECT max(d.id) + 1 FROM m10_recovery.%I d WHERE d.id >= $1 AND d.id < $2', p_table || '_default')
                INTO v_past USING v_first, v_first + v_width;
            EXIT WHEN v_past IS NULL;
            v_first := v_past;
        END LOOP;
        v_bound := v_first + v_width;
        EXECUTE format('CREATE TABLE m10_recovery.%I PARTITION OF m10_recovery.%I FOR VALUES FROM (%s) TO (%s) WITH (%s)',
                       p_table || '_' || v_first, p_table, v_first, v_bound, m10_recovery.partition_storage(p_table));
        v_made := v_made + 1;
    END LOOP;
    RETURN v_made;
END
$$;

DO $$
DECLARE
    v_least CONSTANT bigint := 4000000;
    v_table text;
    v_bound bigint;
BEGIN
    FOREACH v_table IN ARRAY ARRAY['outbox', 'suggestion_provenance'] LOOP
        v_bound := m10_recovery.last_id(v_table) + v_least;
        EXECUTE format('CREATE TABLE m10_recovery.%I PARTITION OF m10_recovery.%I DEFAULT WITH (%s)',
                       v_table || '_default', v_table, m10_recovery.partition_storage(v_table));
        -- Rows whose ids somebody gave ahead of the sequence.
        EXECUTE format('WITH ahead AS (DELETE FROM m10_recovery.%I WHERE id >= $1 RETURNING *) INSERT INTO m10_recovery.%I SELECT * FROM ahead',
                       v_table || '_0', v_table || '_default') USING v_bound;
        EXECUTE format('ALTER TABLE m10_recovery.%I SET (%s)', v_table || '_0', m10_recovery.partition_storage(v_table));
        EXECUTE format('ALTER TABLE m10_recovery.%I ATTACH PARTITION m10_recovery.%I FOR VALUES FROM (MINVALUE) TO (%s)',
                       v_table, v_table || '_0', v_bound);
        PERFORM m10_recovery.add_partitions(v_table, v_least);
    END LOOP;
END
$$;

-- Retention

-- The columns of a table, as a list in SQL.
CREATE FUNCTION m10_recovery.columns_of(p_table regclass) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
    SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum)
    FROM pg_attribute a WHERE a.attrelid = p_table AND a.attnum > 0 AND NOT a.attisdropped
$$;

-- The first partition of which all ids were given and whose newest row was written longer ago; NULL if there is none.
CREATE FUNCTION m10_recovery.partition_past(p_table text, p_older_than interval) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
DECLARE
    p record;
    v_newest timestamptz;
BEGIN
    FOR p IN SELECT * FROM m10_recovery.partitions(p_table) LOOP
        EXIT WHEN p.bound > m10_recovery.last_id(p_table) + 1;
        EXECUTE format('SELECT r.created_at FROM m10_recovery.%I r ORDER BY r.id DESC LIMIT 1', p.name) INTO v_newest;
        IF v_newest IS NULL OR v_newest < clock_timestamp() - p_older_than THEN
            RETURN p.name;
        END IF;
    END LOOP;
    RETURN NULL;
END
$$;

-- The partitions from which rows are taken in batches: those whose oldest row is past its age. One of which all ids were given is left to go
-- as a whole; where that takes half as long again, because few ids are given, its rows do not wait for it.
CREATE FUNCTION m10_recovery.partitions_to_sweep(p_table text, p_older_than interval) RETURNS SETOF text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
DECLARE
    p record;
    v_oldest timestamptz;
BEGIN
    FOR p IN SELECT q.name, q.bound FROM m10_recovery.partitions(p_table) q UNION ALL SELECT p_table || '_default', NULL LOOP
        EXECUTE format('SELECT r.created_at FROM m10_recovery.%I r ORDER BY r.id LIMIT 1', p.name) INTO v_oldest;
        IF v_oldest < clock_timestamp() - p_older_than * (CASE WHEN p.bound <= m10_recovery.last_id(p_table) + 1 THEN 1.5 ELSE 1 END) THEN
            RETURN NEXT p.name;
        END IF;
    END LOOP;
END
$$;

-- Drops one partition whose events are past their age; how many were in it, NULL if there is none. What is not delivered, or was only now, is
-- kept: up to p_limit events, in the default partition; where there are more, it stays.
-- 55P03 where the outbox is in use for longer than the pipeline should wait: the next call comes.
CREATE FUNCTION m10_recovery.drop_events(p_older_than interval, p_limit int) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, m10_recovery, pg_temp SET lock_timeout = '200ms' AS $$
DECLARE
    v_name text := m10_recovery.partition_past('outbox', p_older_than);
    v_all bigint;
    v_kept bigint[];
BEGIN
    IF v_name IS NULL THEN
        RETURN NULL;
    END IF;
    EXECUTE format('SELECT array_agg(k.id) FROM (SELECT o.id FROM m10_recovery.%I o WHERE (o.processed_at < $1) IS NOT TRUE LIMIT $2) k', v_name)
        INTO v_kept USING clock_timestamp() - p_older_than, p_limit + 1;
    IF cardinality(v_kept) > p_limit THEN
        RETURN NULL;
    END IF;
    EXECUTE format('SELECT count(*) FROM m10_recovery.%I', v_name) INTO v_all;
    PERFORM m10_recovery.hold_table('outbox');
    EXECUTE format('ALTER TABLE m10_recovery.outbox DETACH PARTITION m10_recovery.%I', v_name);
    -- An event that an operator has sent again since it was looked at is open.
    EXECUTE format('INSERT INTO m10_recovery.outbox (%1$s) SELECT %1$s FROM m10_recovery.%2$I o WHERE o.id = ANY ($1)'
                   ' UNION ALL SELECT %1$s FROM m10_recovery.%2$I o WHERE o.processed_at IS NULL AND o.dead_at IS NULL AND o.id <> ALL ($1)',
                   m10_recovery.columns_of('m10_recovery.outbox'), v_name) USING coalesce(v_kept, '{}');
    EXECUTE format('DROP TABLE m10_recovery.%I', v_name);
    RETURN v_all - coalesce(cardinality(v_kept), 0);
END
$$;

-- Deletes one batch of delivered events past their age; how many.
CREATE FUNCTION m10_recovery.delete_events(p_older_than interval, p_limit int) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
DECLARE
    v_name text;
    v_count int;
    v_gone int := 0;
BEGIN
    FOR v_name IN SELECT m10_recovery.partitions_to_sweep('outbox', p_older_than) LOOP
        EXECUTE format('DELETE FROM m10_recovery.%1$I WHERE id IN (SELECT o.id FROM m10_recovery.%1$I o'
                       ' WHERE o.processed_at < $1 ORDER BY o.id LIMIT $2 FOR UPDATE SKIP LOCKED)', v_name)
            USING clock_timestamp() - p_older_than, p_limit - v_gone;
        GET DIAGNOSTICS v_count = ROW_COUNT;
        v_gone := v_gone + v_count;
    END LOOP;
    RETURN v_gone;
END
$$;

-- Makes one partition of provenance that is past its age a part of the archive, as it lies; how many rows, NULL if there is none.
CREATE FUNCTION m10_recovery.archive_provenance_partition(p_older_than interval) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, m10_recovery, pg_temp SET lock_timeout = '200ms' AS $$
DECLARE
    v_name text := m10_recovery.partition_past('suggestion_provenance', p_older_than);
    v_archive text := replace(v_name, 'suggestion_provenance', 'suggestion_provenance_archive');
    v_all bigint;
    v_key record;
BEGIN
    IF v_name IS NULL THEN
        RETURN NULL;
    END IF;
    EXECUTE format('SELECT count(*) FROM m10_recovery.%I', v_name) INTO v_all;
    PERFORM m10_recovery.hold_table('suggestion_provenance');
    EXECUTE format('ALTER TABLE m10_recovery.suggestion_provenance DETACH PARTITION m10_recovery.%I', v_name);
    FOR v_key IN SELECT c.conname FROM pg_constraint c WHERE c.conrelid = format('m10_recovery.%I', v_name)::regclass AND c.contype = 'f' LOOP
        EXECUTE format('ALTER TABLE m10_recovery.%I DROP CONSTRAINT %I', v_name, v_key.conname);
    END LOOP;
    EXECUTE format('ALTER TABLE m10_recovery.%I RENAME TO %I', v_name, v_archive);
    EXECUTE format('ALTER TABLE m10_recovery.%I ADD COLUMN archived_at timestamptz NOT NULL DEFAULT now(), ALTER COLUMN id DROP DEFAULT,'
                   ' INHERIT m10_recovery.suggestion_provenance_archive', v_archive);
    RETURN v_all;
END
$$;

-- As in 0011, partition by partition, and by the names of the columns.
CREATE OR REPLACE FUNCTION m10_recovery.archive_provenance(p_older_than interval, p_limit int) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
DECLARE
    v_name text;
    v_count int;
    v_moved int := 0;
BEGIN
    PERFORM set_config('m10_recovery.archiving', 'on', true);
    FOR v_name IN SELECT m10_recovery.partitions_to_sweep('suggestion_provenance', p_older_than) LOOP
        EXECUTE format('WITH gone AS (DELETE FROM m10_recovery.%1$I WHERE id IN (SELECT p.id FROM m10_recovery.%1$I p WHERE p.created_at < $1'
                       ' ORDER BY p.id LIMIT $2) RETURNING %2$s)'
                       ' INSERT INTO m10_recovery.suggestion_provenance_archive (%2$s) SELECT %2$s FROM gone',
                       v_name, m10_recovery.columns_of('m10_recovery.suggestion_provenance'))
            USING clock_timestamp() - p_older_than, p_limit - v_moved;
        GET DIAGNOSTICS v_count = ROW_COUNT;
        v_moved := v_moved + v_count;
    END LOOP;
    PERFORM set_config('m10_recovery.archiving', 'off', true);
    RETURN v_moved;
END
$$;

-- As in 0020, by the names of the columns of provenance.
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
    EXECUTE format('INSERT INTO m10_recovery.suggestion_provenance_archive (%1$s)'
                   ' SELECT %1$s FROM m10_recovery.suggestion_provenance p WHERE p.suggestion_id = ANY ($1)',
                   m10_recovery.columns_of('m10_recovery.suggestion_provenance')) USING v_ids;
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

-- Vacuum

-- The default, a fifth of the table, lets a large table collect its dead rows for hours. What is changed with every message is vacuumed after a
-- twentieth, and faster; what holds only what is under way, after a number of rows that does not grow with anything.
ALTER TABLE public.recovery_candidates SET (
    autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_limit = 2000,
    autovacuum_analyze_scale_factor = 0.05);
ALTER TABLE m10_recovery.execution SET (
    autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_limit = 2000,
    autovacuum_analyze_scale_factor = 0.05);
ALTER TABLE m10_recovery.evaluation_claim SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);
ALTER TABLE m10_recovery.work_queue SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000);
ALTER TABLE m10_recovery.admission_count SET (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 5000);

REVOKE EXECUTE ON FUNCTION m10_recovery.partition_storage, m10_recovery.partitions, m10_recovery.last_id, m10_recovery.hold_table,
    m10_recovery.columns_of, m10_recovery.partition_past, m10_recovery.partitions_to_sweep FROM m10_app, m10_ops;
REVOKE EXECUTE ON FUNCTION m10_recovery.add_partitions, m10_recovery.drop_events, m10_recovery.delete_events,
    m10_recovery.archive_provenance_partition FROM m10_app;
