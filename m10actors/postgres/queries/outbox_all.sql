-- Events of any state, newest first (operations role).
-- A condition that is NULL is none. At most `searched` events are looked at (NULL: all of them).
SELECT s.*
FROM (SELECT o.id, o.process_after, o.dead_at
      FROM (SELECT * FROM m10_recovery.outbox e WHERE true ORDER BY e.id DESC LIMIT %(searched)s::bigint) o
      WHERE (%(destination)s::text IS NULL OR o.destination = %(destination)s::text)
        AND (%(event_type)s::text IS NULL OR o.event_type = %(event_type)s::text)
        AND (%(since)s::timestamptz IS NULL OR o.created_at >= %(since)s::timestamptz)
      ORDER BY o.id DESC LIMIT %(limit)s::bigint) o
JOIN m10_recovery.outbox_summary s ON s.id = o.id
ORDER BY o.id DESC
