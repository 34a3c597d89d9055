-- Whether there are more dead letters than these (operations role).
SELECT EXISTS (SELECT FROM m10_recovery.dead_letter_archive d OFFSET %(searched)s::bigint)
