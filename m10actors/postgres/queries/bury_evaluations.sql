-- Writes dead letters of record and closes their generations; a row for each that was written.
SELECT dl_msg_id FROM m10_recovery.bury_evaluations(
    %(worker)s, %(dl_msg_ids)s::text[], %(candidate_ids)s::bigint[], %(generations)s::int[], %(entry_ids)s::text[], %(payloads)s::jsonb[],
    %(reasons)s::text[])
