-- Where the trail is: the last row of provenance, the moment, the oldest transaction that is open, and the next one (operations role).
-- The next one is its own: every transaction that has a number before it has a lower one, which pg_snapshot_xmax does not say.
SELECT coalesce(max(id), 0), statement_timestamp(), pg_snapshot_xmin(pg_current_snapshot())::text::bigint, pg_current_xact_id()::text::bigint
FROM m10_recovery.suggestion_provenance
