-- What happened and who did it, newest first, from wherever it is written down (operations role).
-- A condition that is NULL is none. Of provenance, which has no kind, it has the rows with these `words`, or with `others` than are `known`. Of each source at most `searched` rows are looked at, the newest (NULL: all of them). What retention has
-- archived is read for one candidate, and where `with_archive` asks for it.
SELECT m10_recovery.readable(t.at), t.source || ':' || t.id, t.kind, t.event, t.subject, t.candidate_id, t.actor, t.actor_type, t.details::text
FROM (
    (SELECT p.created_at AS at, 'provenance' AS source, p.id, NULL AS kind, p.event_type AS event, 'candidate ' || p.suggestion_id AS subject,
            p.suggestion_id AS candidate_id, p.actor, p.actor_type,
            m10_recovery.audit_details(p.event_type, p.details, p.action_id, p.duration_ms) AS details
     FROM (SELECT * FROM m10_recovery.suggestion_provenance n
           WHERE n.id > %(after)s::bigint AND (%(candidate)s::bigint IS NULL OR n.suggestion_id = %(candidate)s::bigint) ORDER BY n.id DESC LIMIT %(searched)s::bigint) p
     WHERE (%(words)s::text[] IS NULL OR p.event_type = ANY (%(words)s::text[]) OR %(others)s::boolean AND p.event_type <> ALL (%(known)s::text[]))
       AND (%(since)s::timestamptz IS NULL OR p.created_at >= %(since)s::timestamptz)
       AND (%(until)s::timestamptz IS NULL OR p.created_at < %(until)s::timestamptz)
       AND (%(actor)s::text IS NULL OR position(lower(%(actor)s::text) IN lower(p.actor)) > 0)
     ORDER BY p.id DESC LIMIT %(limit)s::bigint)
    UNION ALL
    (SELECT p.created_at, 'archive', p.id, NULL, p.event_type, 'candidate ' || p.suggestion_id, p.suggestion_id, p.actor, p.actor_type,
            m10_recovery.audit_details(p.event_type, p.details, p.action_id, p.duration_ms)
     FROM m10_recovery.suggestion_provenance_archive p
     WHERE (%(candidate)s::bigint IS NOT NULL OR %(with_archive)s::boolean)
       AND (%(candidate)s::bigint IS NULL OR p.suggestion_id = %(candidate)s::bigint)
       AND (%(words)s::text[] IS NULL OR p.event_type = ANY (%(words)s::text[]) OR %(others)s::boolean AND p.event_type <> ALL (%(known)s::text[]))
       AND (%(since)s::timestamptz IS NULL OR p.created_at >= %(since)s::timestamptz)
       AND (%(until)s::timestamptz IS NULL OR p.created_at < %(until)s::timestamptz)
       AND (%(actor)s::text IS NULL OR position(lower(%(actor)s::text) IN lower(p.actor)) > 0)
     ORDER BY p.id DESC LIMIT %(limit)s::bigint)
    UNION ALL
    SELECT o.*
    FROM (
        (SELECT c.changed_at AS at, 'control' AS source, c.id, CASE WHEN c.kind IN ('part', 'destination') THEN 'pause' ELSE c.kind END AS kind,
                c.change AS event, CASE WHEN c.kind = c.part THEN c.part ELSE concat_ws(' ', nullif(c.kind, 'part'), c.part) END AS subject,
                NULL::bigint AS candidate_id, c.changed_by AS actor, CASE WHEN c.kind IN ('settings', 'rules') THEN 'system' ELSE 'human' END AS actor_type,
                jsonb_strip_nulls(jsonb_build_object('why', c.reason, 'until', m10_recovery.readable(c.until))) || coalesce(c.details, '{}') AS details
         FROM m10_recovery.control_log c ORDER BY c.id DESC LIMIT %(searched)s::bigint)
        UNION ALL
        (SELECT d.dead_lettered_at, 'dead_letter', d.id, 'dead_letter', 'given_up', 'dead letter ' || d.id, d.candidate_id, d.archived_by, 'system',
                jsonb_strip_nulls(jsonb_build_object('stage', d.stage, 'reason', left(d.reason, 2000), 'event_id', d.event_id,
                                                     'destination', d.destination, 'dl_msg_id', left(d.dl_msg_id, 200)))
         FROM m10_recovery.dead_letter_archive d
         WHERE d.stage <> 'evaluation' AND (%(candidate)s::bigint IS NULL OR d.candidate_id = %(candidate)s::bigint)
         ORDER BY d.id DESC LIMIT %(searched)s::bigint)
        UNION ALL
        (SELECT r.replayed_at, 'replay', r.id, 'replay', CASE WHEN r.message_id LIKE 'resend:%%' THEN 'resent' ELSE 'replayed' END,
                'message ' || left(r.original_msg_id, 200), r.candidate_id, r.replayed_by, NULL,
                jsonb_strip_nulls(jsonb_build_object('why', r.why, 'dl_msg_id', left(r.dl_msg_id, 200), 'became', left(r.new_msg_id, 200)))
         FROM m10_recovery.replay_log r
         -- The others stand in the provenance of their candidate.
         WHERE r.replayed_at IS NOT NULL AND (r.candidate_id IS NULL OR r.message_id LIKE 'replay:%%')
         ORDER BY r.id DESC LIMIT %(searched)s::bigint)
        UNION ALL
        (SELECT (s.step ->> 'at')::timestamptz, 'replay_run', r.id * 1000 + s.nth, 'replay', coalesce(s.step ->> 'what', 'noted'), 'replay ' || r.id,
                NULL, s.step ->> 'by', 'human',
                jsonb_build_object('why', r.why, 'filter', r.wanted, 'phase', s.step -> 'phase')
         FROM (SELECT * FROM m10_recovery.replay_run n ORDER BY n.id DESC LIMIT %(searched)s::bigint) r,
              LATERAL jsonb_array_elements(r.steps) WITH ORDINALITY AS s(step, nth))
        UNION ALL
        (SELECT p.began_at, 'purge', p.id, 'purge', 'purged', 'dead letters', NULL, p.asked_by, 'human',
                jsonb_build_object('why', p.why, 'purged', p.purged, 'filter', p.wanted, 'ended_at', m10_recovery.readable(p.ended_at))
         FROM m10_recovery.dead_letter_purge p ORDER BY p.id DESC LIMIT %(searched)s::bigint)
        UNION ALL
        SELECT m.applied_at, 'migration', m.number, 'migration', 'applied', 'migration ' || m.number, NULL, NULL, 'system',
               jsonb_build_object('digest', m.digest)
        FROM m10_recovery.schema_migration m
    ) o
    WHERE (%(candidate)s::bigint IS NULL OR o.candidate_id = %(candidate)s::bigint)
      AND (%(kinds)s::text[] IS NULL OR o.kind = ANY (%(kinds)s::text[]))
      AND (%(since)s::timestamptz IS NULL OR o.at >= %(since)s::timestamptz)
      AND (%(until)s::timestamptz IS NULL OR o.at < %(until)s::timestamptz)
      AND (%(actor)s::text IS NULL OR position(lower(%(actor)s::text) IN lower(o.actor)) > 0)
) t
ORDER BY t.at DESC NULLS LAST, t.source, t.id DESC LIMIT %(limit)s::bigint
