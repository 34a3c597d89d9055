-- Claims rows of the fallback queue whose candidates are due.
SELECT work_id, candidate_id, generation, attempts
FROM m10_recovery.claim_fallback(%(worker)s, %(limit)s, %(lease)s, %(evaluators)s::text[])
