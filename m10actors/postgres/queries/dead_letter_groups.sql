-- Dead letters counted by kind and cause, the most frequent first (operations role). The conditions are those of dead_letters_page.
SELECT s.kind, s.cause, count(*), min(s.dead_lettered_at), max(s.dead_lettered_at), max(s.id) FROM (
    SELECT * FROM m10_recovery.dead_letter_summary d ORDER BY d.id DESC LIMIT %(searched)s::bigint
) s
WHERE (%(kind)s::text IS NULL OR s.kind = %(kind)s::text)
  AND (%(reason)s::text IS NULL OR s.cause = %(reason)s::text OR s.reason = %(reason)s::text)
  AND (%(since)s::timestamptz IS NULL OR s.dead_lettered_at >= %(since)s::timestamptz)
GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2 LIMIT %(limit)s::bigint
