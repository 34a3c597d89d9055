-- Dead letters, newest first (operations role). At most `searched` are looked at (NULL: all of them).
SELECT * FROM m10_recovery.dead_letters_like(%(wanted)s::jsonb, %(searched)s::bigint, %(limit)s::bigint)
