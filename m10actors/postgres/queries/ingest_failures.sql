-- Accepts a batch of failures; one row per item, in order.
SELECT item, candidate_id, occurrence_count, opened, counted, key_conflict, generation, became_due, failure_match_id
FROM m10_recovery.ingest_failures(
    %(keys)s::uuid[], %(match_ids)s::uuid[], %(signatures)s::text[], %(codes)s::text[], %(messages)s::text[], %(sources)s::text[],
    %(fingerprints)s::text[], %(hashes)s::bytea[], %(payloads)s::text[], %(created_by)s)
