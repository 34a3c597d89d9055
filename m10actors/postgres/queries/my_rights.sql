-- What the connected role may do, for the check at start.
SELECT current_user,
       has_function_privilege('m10_recovery.ingest_failures(json,text)', 'EXECUTE'),
       has_table_privilege('m10_recovery.outbox', 'SELECT, INSERT, UPDATE, DELETE'),
       has_table_privilege('m10_recovery.metrics_depths', 'SELECT')
