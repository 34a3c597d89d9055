-- Explaining: the records of decisions, read again. Nothing here writes.

-- The last evaluation of a candidate, as its provenance or the archive of that has it; no row for one that was never evaluated, or whose archive
-- was emptied. record: as JSON text.
CREATE FUNCTION m10_recovery.last_record(p_candidate_id bigint)
RETURNS TABLE (decided_at timestamptz, record text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
    SELECT m10_recovery.readable(p.created_at), p.details::text
    FROM (SELECT n.id, n.created_at, n.details FROM m10_recovery.suggestion_provenance n
          WHERE n.suggestion_id = p_candidate_id AND n.event_type = 'rule_evaluated'
          UNION ALL
          SELECT a.id, a.created_at, a.details FROM m10_recovery.suggestion_provenance_archive a
          WHERE a.suggestion_id = p_candidate_id AND a.event_type = 'rule_evaluated'
            AND NOT EXISTS (SELECT FROM m10_recovery.suggestion_provenance n
                            WHERE n.suggestion_id = p_candidate_id AND n.event_type = 'rule_evaluated')) p
    ORDER BY p.id DESC LIMIT 1
$$;
CREATE INDEX ix_provenance_archive_suggestion ON m10_recovery.suggestion_provenance_archive (suggestion_id, id);

-- Evaluations in p_since .. p_until between two rows, the newest first: a page of them, for whoever reads all.
CREATE FUNCTION m10_recovery.decision_records(p_since timestamptz, p_until timestamptz, p_after bigint, p_before bigint, p_limit int)
RETURNS TABLE (id bigint, candidate_id bigint, record text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
    SELECT p.id, p.suggestion_id, p.details::text
    FROM m10_recovery.suggestion_provenance p
    WHERE p.event_type = 'rule_evaluated' AND p.id > p_after AND p.id < p_before AND p.created_at >= p_since AND p.created_at < p_until
    ORDER BY p.id DESC LIMIT p_limit
$$;

-- The row behind which all of p_since lies; found once, so that a page reads nothing twice. Rows are numbered when they are written and not
-- when that is committed, so it is one of an hour before.
CREATE FUNCTION m10_recovery.records_begin(p_since timestamptz) RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
    SELECT coalesce((SELECT p.id FROM m10_recovery.suggestion_provenance p WHERE p.created_at < p_since - interval '1 hour'
                     ORDER BY p.id DESC LIMIT 1), 0)
$$;
