-- What the metrics collector may read: aggregates, no rows. Depths come from partial indexes, sizes of logs from statistics.
CREATE VIEW m10_recovery.metrics_depths AS
    SELECT
        (SELECT count(*) FROM public.recovery_candidates WHERE decision = 'pending') AS candidates_pending,
        due.count AS evaluations_due, due.oldest_seconds AS evaluations_due_oldest_seconds,
        work.count AS work_depth, work.oldest_seconds AS work_oldest_seconds,
        (SELECT count(*) FROM m10_recovery.work_queue WHERE processed_at IS NULL AND claimed_at < clock_timestamp() - interval '5 minutes')
            AS work_stalled,
        outbox.count AS outbox_pending, outbox.oldest_seconds AS outbox_oldest_seconds, outbox.lag_seconds AS outbox_lag_seconds,
        (SELECT greatest(reltuples, 0)::bigint FROM pg_class WHERE oid = 'm10_recovery.replay_log'::regclass) AS replay_log_size,
        (SELECT greatest(reltuples, 0)::bigint FROM pg_class WHERE oid = 'm10_recovery.dead_letter_archive'::regclass) AS archive_size
    FROM (SELECT count(*), coalesce(extract(epoch FROM clock_timestamp() - min(due_at)), 0)::float8 AS oldest_seconds
          FROM public.recovery_candidates WHERE generation > evaluated_generation) due,
         (SELECT count(*), coalesce(extract(epoch FROM clock_timestamp() - min(queued_at)), 0)::float8 AS oldest_seconds
          FROM m10_recovery.work_queue WHERE processed_at IS NULL) work,
         (SELECT count(*), coalesce(extract(epoch FROM clock_timestamp() - min(created_at)), 0)::float8 AS oldest_seconds,
                 greatest(coalesce(extract(epoch FROM clock_timestamp() - min(process_after)), 0), 0)::float8 AS lag_seconds
          FROM m10_recovery.outbox WHERE processed_at IS NULL AND dead_at IS NULL) outbox;
CREATE VIEW m10_recovery.metrics_locks AS
    SELECT e.lock_name, coalesce(l.expires_at > clock_timestamp(), false) AS active, e.epoch
    FROM m10_recovery.lock_epoch e LEFT JOIN m10_recovery.distributed_locks l USING (lock_name);
GRANT USAGE ON SCHEMA m10_recovery TO m10_metrics;
GRANT SELECT ON m10_recovery.metrics_depths, m10_recovery.metrics_locks, m10_recovery.matview_freshness TO m10_metrics;
