-- Every outbox event by the key under which its receiver knows it (operations role).
SELECT m10_recovery.event_key(id, aggregate_type, aggregate_id, event_type), processed_at IS NOT NULL, dead_at IS NOT NULL
FROM m10_recovery.outbox
