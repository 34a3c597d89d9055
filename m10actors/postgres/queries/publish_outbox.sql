-- Appends an event to the outbox (as any program may).
SELECT m10_recovery.publish_outbox('bench', %(aggregate_id)s, 'webhook:bench', %(payload)s::jsonb)
