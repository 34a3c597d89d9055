-- The row behind which all evaluations since a moment lie.
SELECT m10_recovery.records_begin(%(since)s)
