-- What every later object is born with. From here on each migration runs as m10_owner.
-- Functions are executable by PUBLIC by default in PostgreSQL: never here.
REVOKE ALL ON SCHEMA m10_recovery FROM PUBLIC;
GRANT USAGE ON SCHEMA m10_recovery TO m10_app, m10_ops, m10_metrics;
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
ALTER DEFAULT PRIVILEGES IN SCHEMA m10_recovery GRANT EXECUTE ON FUNCTIONS TO m10_app, m10_ops;
ALTER DEFAULT PRIVILEGES IN SCHEMA m10_recovery GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO m10_ops;
ALTER DEFAULT PRIVILEGES IN SCHEMA m10_recovery GRANT USAGE, SELECT ON SEQUENCES TO m10_ops;

-- What the process asks at its start; the table was made by the program that applies these files.
GRANT SELECT ON m10_recovery.schema_migration TO m10_ops;
CREATE FUNCTION m10_recovery.applied_migrations() RETURNS TABLE (number int, digest text, applied_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, m10_recovery, pg_temp AS $$
    SELECT m.number, m.digest, m.applied_at FROM m10_recovery.schema_migration m ORDER BY m.number
$$;
