-- Whether there is more of what a trail asks for behind the rows that were looked at (operations role).
SELECT EXISTS (SELECT FROM (SELECT p.created_at FROM m10_recovery.suggestion_provenance p
                            WHERE %(candidate)s::bigint IS NULL OR p.suggestion_id = %(candidate)s::bigint
                            ORDER BY p.id DESC OFFSET %(searched)s::bigint LIMIT 1) p
               WHERE %(since)s::timestamptz IS NULL OR p.created_at >= %(since)s::timestamptz)
    OR EXISTS (SELECT FROM (SELECT d.dead_lettered_at FROM m10_recovery.dead_letter_archive d ORDER BY d.id DESC OFFSET %(searched)s::bigint LIMIT 1) d
               WHERE %(since)s::timestamptz IS NULL OR d.dead_lettered_at >= %(since)s::timestamptz)
