-- What came of actions for failures like this one, the newest first.
SELECT candidate_id, is_same, action, outcome, decided_by, closed_at FROM m10_recovery.similar_cases(%(id)s, %(limit)s::int)
