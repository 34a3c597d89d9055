-- Writes a batch of evaluations; a row for each that took effect.
SELECT candidate_id, generation, decision, source, event_id, message_due, refused
FROM m10_recovery.apply_evaluations(
    %(worker)s, %(ids)s, %(generations)s, %(counts)s, %(actions)s, %(confidences)s, %(suggestions)s, %(explains)s, %(rules)s,
    %(records)s, %(execute)s, %(durations_ms)s, %(contexts)s, %(routes)s, %(limits)s, %(work_ids)s)
