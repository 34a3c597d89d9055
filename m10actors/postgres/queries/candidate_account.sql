-- All about one candidate.
SELECT (candidate).*, message, fingerprint, created_by, idempotency_key, explain, rules_evaluated, review_note, executed_at, execution_result,
       last_executed_at, due_since, inputs, provenance, events, dead_letters
FROM m10_recovery.candidate_account(%(id)s::bigint, %(newest)s::int)
