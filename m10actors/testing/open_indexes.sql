-- Bytes of each index of what is open: its entries go when that is done, so that it stays as large as what is under way at a time.
SELECT coalesce(pg_partition_root(i.indexrelid), i.indexrelid)::regclass::text AS name, sum(pg_relation_size(i.indexrelid))::bigint AS bytes
FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid AND c.relkind = 'r'
WHERE c.relnamespace IN ('m10_recovery'::regnamespace, 'public'::regnamespace)
  AND pg_get_expr(i.indpred, i.indrelid) ~ ' IS NULL|generation > evaluated_generation'
GROUP BY 1 ORDER BY 1
