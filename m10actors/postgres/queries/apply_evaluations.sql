-- Writes a batch of evaluations; a row for each that took effect.
SELECT candidate_id, generation, decision, source, event_id, message_due, refused
FROM m10_recovery.apply_evaluations(
    %(worker)s, %(ids)s::bigint[], %(generations)s::int[], %(counts)s::bigint[], %(actions)s::text[], %(confidences)s::real[],
    %(suggestions)s::text[], %(explains)s::text[], %(rules)s::text[], %(execute)s::boolean[], %(durations_ms)s::int[], %(routes)s::jsonb,
    %(work_ids)s::bigint[], %(records)s::text[], %(limits)s::jsonb)
