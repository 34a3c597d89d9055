-- What an evaluator needs to know of these candidates; no rates where none are counted.
SELECT id, generation, evaluated_generation, error_code, error_message, source, fingerprint, occurrence_count, at,
       since_executed, age, nullif(rates, '[]'), past_of_code, past_of_fingerprint
FROM m10_recovery.evaluation_inputs(%(ids)s::bigint[])
