-- So many candidates as a year might leave them: most wait for a verdict, the higher an id the younger.
INSERT INTO public.recovery_candidates
    (failure_match_id, error_signature, suggestion, confidence, explain, rules_evaluated, error_code, error_message, source, fingerprint,
     occurrence_count, created_by, created_at, last_occurrence_at, generation, evaluated_generation, evaluated_count, selected_action_id,
     decision, execution_status, closed_at)
SELECT gen_random_uuid(), md5(n::text), 'retry_exponential for CODE, seen 3 times; confidence 0.85 by timeout_retry. It needs approval.', 0.85,
       '{"action": "retry_exponential", "total": 0.85, "reason": "needs_approval", "rules": ["timeout_retry"]}',
       '[{"rule": "timeout_retry", "action": "retry_exponential", "score": 0.85, "adjustment": 0.0, "because": "TIMEOUT"}]',
       'CODE_' || n %% 200, 'upstream connection ' || n || ' timed out: ' || repeat('no answer from the peer, ', 4 + n %% 6),
       'service-' || n %% 40, md5(n::text), 1 + (n * 7919) %% 1000, 'lists', now() - (%(count)s - n) * interval '10 s', now() - (%(count)s - n) * interval '7 s', 1, 1,
       1 + (n * 7919) %% 1000, a.id, v.decision, v.execution_status, CASE WHEN v.decision <> 'pending' THEN now() - (%(count)s - n) * interval '5 s' END
FROM generate_series(1, %(count)s) AS n,
LATERAL (SELECT CASE WHEN n %% 10 < 6 THEN 'pending' WHEN n %% 10 < 9 THEN 'approved' ELSE 'rejected' END AS decision,
                CASE n %% 10 WHEN 6 THEN 'succeeded' WHEN 7 THEN 'succeeded' WHEN 8 THEN 'failed' END AS execution_status) v
JOIN LATERAL (SELECT id FROM m10_recovery.suggestion_action
              WHERE action_code = (ARRAY['retry_exponential', 'notify_ops', 'fallback_model'])[1 + n %% 3]) a ON true
