-- Puts candidates whose hint Redis refused on the fallback queue.
SELECT * FROM m10_recovery.enqueue_works(%(candidate_ids)s::bigint[], array_fill(NULL::uuid, ARRAY[cardinality(%(candidate_ids)s::bigint[])]), 0, 'db_fallback')
