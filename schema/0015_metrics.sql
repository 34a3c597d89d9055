-- The sample of the metrics collector costs the same whatever the tables hold beside what is open: each depth with its age comes from one
-- partial index, and the size of a log, which only grows, is exact up to 20,000 rows and an estimate of the statistics beyond.

CREATE OR REPLACE VIEW m10_recovery.metrics_depths AS
    SELECT
        pending.count AS candidates_pending,
        due.count AS evaluations_due, due.oldest_seconds AS evaluations_due_oldest_seconds,
        free.count + taken.count AS work_depth, greatest(free.oldest_seconds, taken.oldest_seconds, 0) AS work_oldest_seconds,
        taken.stalled AS work_stalled,
        outbox.count AS outbox_pending,
        -- Ids are given in the order of time, and the index has the id.
        coalesce((SELECT extract(epoch FROM clock_timestamp() - o.created_at) FROM m10_recovery.outbox o WHERE o.id = outbox.oldest), 0)::float8
            AS outbox_oldest_seconds,
        outbox.lag_seconds AS outbox_lag_seconds,
        CASE WHEN replays.count < 20000 THEN replays.count
             ELSE (SELECT greatest(c.reltuples, replays.count)::bigint FROM pg_class c WHERE c.oid = 'm10_recovery.replay_log'::regclass) END
            AS replay_log_size,
        CASE WHEN letters.count < 20000 THEN letters.count
             ELSE (SELECT greatest(c.reltuples, letters.count)::bigint FROM pg_class c WHERE c.oid = 'm10_recovery.dead_letter_archive'::regclass) END
            AS archive_size,
        pending.oldest_seconds AS candidates_pending_oldest_seconds
    FROM (SELECT count(*), coalesce(extract(epoch FROM clock_timestamp() - min(c.created_at)), 0)::float8 AS oldest_seconds
          FROM public.recovery_candidates c WHERE c.decision = 'pending') pending,
         (SELECT count(*), coalesce(extract(epoch FROM clock_timestamp() - min(c.due_at)), 0)::float8 AS oldest_seconds
          FROM public.recovery_candidates c WHERE c.generation > c.evaluated_generation) due,
         (SELECT count(*), extract(epoch FROM clock_timestamp() - min(w.queued_at))::float8 AS oldest_seconds
          FROM m10_recovery.work_queue w WHERE w.processed_at IS NULL AND w.claimed_at IS NULL) free,
         (SELECT count(*), extract(epoch FROM clock_timestamp() - min(w.queued_at))::float8 AS oldest_seconds,
                 count(*) FILTER (WHERE w.claimed_at < clock_timestamp() - interval '5 minutes') AS stalled
          FROM m10_recovery.work_queue w WHERE w.processed_at IS NULL AND w.claimed_at IS NOT NULL) taken,
         (SELECT count(*), min(o.id) AS oldest,
                 greatest(coalesce(extract(epoch FROM clock_timestamp() - min(o.process_after)), 0), 0)::float8 AS lag_seconds
          FROM m10_recovery.outbox o WHERE o.processed_at IS NULL AND o.dead_at IS NULL) outbox,
         -- Newest first: what retention has left behind is not walked through.
         (SELECT count(*) FROM (SELECT FROM m10_recovery.replay_log r ORDER BY r.id DESC LIMIT 20000) newest) replays,
         (SELECT count(*) FROM (SELECT FROM m10_recovery.dead_letter_archive d ORDER BY d.id DESC LIMIT 20000) newest) letters;
