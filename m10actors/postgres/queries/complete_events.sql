-- Writes the outcomes of claimed events; M1002 without the live lock in this epoch.
SELECT event_id, state, event_type, aggregate_type, candidate_id, message_due, execution, next_event_type
FROM m10_recovery.complete_events(
    %(processor)s, %(epoch)s, %(ids)s::bigint[], %(outcomes)s::text[], %(errors)s::text[], %(delays)s::interval[], %(results)s::jsonb[],
    %(attempts)s::jsonb[])
