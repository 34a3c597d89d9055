-- Claims open outbox events; M1002 without the live lock in this epoch.
SELECT id, aggregate_type, aggregate_id, event_type, payload, retry_count, event_uuid, destination, idempotency_key, by_itself
FROM m10_recovery.claim_events(%(processor)s, %(epoch)s, %(limit)s, %(held)s::text[])
