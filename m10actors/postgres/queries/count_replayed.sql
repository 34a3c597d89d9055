-- Counts each replayed dead letter once, whoever replayed it; how many (operations role).
WITH counted AS (
    UPDATE m10_recovery.dead_letter_archive SET is_counted = true WHERE replayed_at IS NOT NULL AND NOT is_counted RETURNING 1)
SELECT count(*)::int FROM counted
