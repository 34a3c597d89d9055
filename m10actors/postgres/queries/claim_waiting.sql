-- Takes what waits for an evaluator.
SELECT candidate_id, generation, attempts, waited, suspect
FROM m10_recovery.claim_waiting(%(worker)s, %(evaluator)s, %(limit)s, %(suspects)s, %(lease)s)
