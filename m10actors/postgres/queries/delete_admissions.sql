-- Deletes one batch of counts of admitted executions that no hour reaches any more (operations role).
WITH gone AS (
DELETE FROM m10_recovery.admission_count a
WHERE (a.kind, a.name, a.slot) IN (
    SELECT c.kind, c.name, c.slot FROM m10_recovery.admission_count c WHERE c.slot < clock_timestamp() - %(older_than)s LIMIT %(limit)s)
RETURNING 1)
SELECT count(*)::int FROM gone
