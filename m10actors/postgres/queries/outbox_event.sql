-- All about one event (operations role). JSON as text: its reader may have to refuse what it says.
SELECT s.*, o.event_uuid, m10_recovery.event_key(o.id, o.aggregate_type, o.aggregate_id, o.event_type), o.payload::text, o.claimed_by,
       o.processed_by, m10_recovery.readable(o.resent_at), p.reason, o.attempts::text
FROM m10_recovery.outbox o JOIN m10_recovery.outbox_summary s ON s.id = o.id
LEFT JOIN m10_recovery.paused_destination p ON p.name = o.destination
WHERE o.id = %(id)s
