-- The account of everything that was taken in and done (operations role): what a ledger is compared with.
SELECT
    (SELECT count(*) FROM public.recovery_candidates) AS candidates,
    (SELECT least(coalesce(sum(occurrence_count), 0), 9223372036854775807)::bigint FROM public.recovery_candidates) AS occurrences,
    (SELECT count(*) FROM public.recovery_candidates WHERE generation = evaluated_generation) AS evaluated,
    (SELECT count(*) FROM m10_recovery.outbox) AS published,
    (SELECT count(*) FROM m10_recovery.outbox WHERE processed_at IS NOT NULL) AS delivered,
    (SELECT count(*) FROM m10_recovery.dead_letter_archive) AS dead,
    (SELECT count(*) FROM m10_recovery.accepted_key) AS keys,
    (SELECT count(*) FROM (SELECT 1 FROM m10_recovery.suggestion_provenance
                           WHERE event_type = 'rule_evaluated'
                           GROUP BY suggestion_id, details ->> 'generation' HAVING count(*) > 1) t) AS evaluated_twice,
    (SELECT count(*) FROM (SELECT 1 FROM m10_recovery.outbox WHERE candidate_id IS NOT NULL
                           GROUP BY candidate_id, payload #>> '{data,generation}' HAVING count(*) > 1) t) AS published_twice,
    (SELECT count(*) FROM public.recovery_candidates WHERE execution_status = 'executing') AS executing
