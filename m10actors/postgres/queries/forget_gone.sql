-- Forgets purged dead letters of which the whole stream was seen since; how many wait without a copy in it (operations role).
WITH forgotten AS (DELETE FROM m10_recovery.dead_letter_gone WHERE gone_at < %(before)s)
SELECT greatest(0, count(*) - %(kept)s)::int FROM m10_recovery.dead_letter_archive WHERE replayed_at IS NULL AND stage <> 'delivery'
