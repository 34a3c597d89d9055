-- What is open for each destination, and which are paused (operations role).
SELECT coalesce(o.name, p.name), coalesce(o.waiting, 0), o.oldest_seconds, p.reason, p.paused_at
FROM (SELECT e.destination AS name, count(*)::int AS waiting,
             extract(epoch FROM clock_timestamp() - min(e.created_at))::float8 AS oldest_seconds
      FROM m10_recovery.outbox e
      WHERE e.processed_at IS NULL AND e.dead_at IS NULL AND e.destination IS NOT NULL
      GROUP BY e.destination) o
FULL JOIN m10_recovery.paused_destination p USING (name)
ORDER BY 1
