-- A person's verdict on several candidates, each for itself, in one transaction.
SELECT outcome, candidate_id, decision, execution_status, evaluated_generation, event_id, event_type
FROM m10_recovery.decide_candidates(%(ids)s::bigint[], %(generations)s::int[], %(decision)s, %(person)s, %(named)s, %(note)s,
                                    %(routes)s::jsonb, %(expires)s::interval, %(own)s)
