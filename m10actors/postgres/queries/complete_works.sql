-- Marks rows of the fallback queue as done.
SELECT * FROM m10_recovery.complete_works(%(work_ids)s::bigint[], true, NULL)
