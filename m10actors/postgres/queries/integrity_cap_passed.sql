-- What was carried out without a person more often in the last hour than the highest cap that was in force in it, as cap:name (operations role).
WITH caps AS (
    SELECT l.kind, greatest(l.cap, (SELECT max((g.details #>> ARRAY['autonomy', 'before', 'limits', l.kind])::bigint)
                                    FROM m10_recovery.control_log g WHERE g.kind = 'settings' AND g.changed_at > now() - interval '65 minutes')) AS cap
    FROM m10_recovery.settings s, LATERAL (SELECT e.key AS kind, e.value::bigint AS cap FROM jsonb_each_text(s.autonomy -> 'limits') e) l
    -- A cap that has come into force since says nothing of what was before.
    WHERE NOT EXISTS (SELECT FROM m10_recovery.control_log g
                      WHERE g.kind = 'settings' AND g.changed_at > now() - interval '65 minutes' AND g.details ? 'autonomy'
                        AND g.details #> ARRAY['autonomy', 'before', 'limits', l.kind] IS NULL)
)
SELECT k.kind || ':' || k.name
FROM m10_recovery.execution x JOIN m10_recovery.suggestion_action a ON a.id = x.action_id,
     LATERAL (VALUES ('candidate', x.candidate_id::text), ('source', coalesce(left(x.source, 200), '')), ('action', a.action_code),
                     ('total', '')) AS k(kind, name)
JOIN caps USING (kind)
WHERE x.by_itself AND x.begun_at > now() - interval '1 hour'
GROUP BY k.kind, k.name, caps.cap HAVING count(*) > caps.cap
LIMIT %(limit)s
