-- A person's verdict on a candidate.
SELECT outcome, candidate_id, decision, execution_status, evaluated_generation, event_id, event_type
FROM m10_recovery.decide_candidate(%(candidate_id)s, %(decision)s, %(by)s, %(note)s, %(generation)s::int, %(routes)s::jsonb)
