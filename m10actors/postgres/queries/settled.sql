-- Whether no evaluation is due, and whether no event is open: cheap, from partial indexes alone (operations role).
SELECT NOT EXISTS (SELECT FROM public.recovery_candidates WHERE generation > evaluated_generation),
       NOT EXISTS (SELECT FROM m10_recovery.outbox WHERE processed_at IS NULL AND dead_at IS NULL)
