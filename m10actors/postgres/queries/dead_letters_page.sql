-- Dead letters, newest first (operations role). A condition that is NULL is none. At most `searched` are looked at (NULL: all of them).
SELECT s.* FROM (
    SELECT * FROM m10_recovery.dead_letter_summary d ORDER BY d.id DESC LIMIT %(searched)s::bigint
) s
WHERE (%(kind)s::text IS NULL OR s.kind = %(kind)s::text)
  AND (%(reason)s::text IS NULL OR s.cause = %(reason)s::text OR s.reason = %(reason)s::text)
  AND (%(since)s::timestamptz IS NULL OR s.dead_lettered_at >= %(since)s::timestamptz)
ORDER BY s.id DESC LIMIT %(limit)s::bigint
