-- What each table that was written to holds, its partitions together: rows, dead rows, changes (which are told late), and bytes.
SELECT coalesce(pg_partition_root(s.relid), s.relid)::regclass::text AS name,
       sum(s.n_live_tup)::bigint AS rows, sum(s.n_dead_tup)::bigint AS dead,
       sum(s.n_tup_upd)::bigint AS changed, sum(s.n_tup_hot_upd)::bigint AS changed_in_place,
       sum(s.autovacuum_count)::bigint AS vacuumed,
       sum(pg_table_size(s.relid))::bigint AS bytes, sum(pg_indexes_size(s.relid))::bigint AS index_bytes
FROM pg_stat_user_tables s
WHERE pg_relation_size(s.relid) > 0 AND (s.schemaname = 'm10_recovery' OR s.relname = 'recovery_candidates')
GROUP BY 1 ORDER BY 7 DESC
