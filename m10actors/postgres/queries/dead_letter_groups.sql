-- Dead letters counted by their cause, the most frequent first, each with its newest as a sample (operations role).
SELECT g.fingerprint, g.stage, g.cause, g.count, g.waiting, g.first_at, g.last_at, s.id, s.reason, s.error_code, s.message, s.source,
       s.event_type, s.destination
FROM (SELECT l.fingerprint, l.stage, l.cause, count(*) AS count, count(*) FILTER (WHERE l.replayed_at IS NULL) AS waiting,
             min(l.dead_lettered_at) AS first_at, max(l.dead_lettered_at) AS last_at, max(l.id) AS newest_id
      FROM m10_recovery.dead_letters_like(%(wanted)s::jsonb, %(searched)s::bigint, NULL) l GROUP BY 1, 2, 3
      ORDER BY 4 DESC, 1 LIMIT %(limit)s::bigint) g
JOIN m10_recovery.dead_letter_summary s ON s.id = g.newest_id
ORDER BY g.count DESC, g.fingerprint
