-- Accepts a batch of failures; one row per item, in order.
SELECT candidate_id, occurrence_count, opened, counted, key_conflict, generation, became_due, failure_match_id
FROM m10_recovery.ingest_failures(%(failures)s::json, %(created_by)s) ORDER BY item
