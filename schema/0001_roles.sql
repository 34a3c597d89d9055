-- The four roles of contracts.md, section 1, and what they may reach. Run as the migrating role, which must be able to create roles,
-- or by an administrator in its stead (`m10 migrate --print-sql roles`), who then grants m10_owner to the migrating role.
-- It does only what is missing, so that it may be repeated by whoever has fewer rights, in a copy of the database, and by a neighbour's
-- migration of another database of the same cluster at the same moment: roles belong to the cluster, so 42710 and 23505 are a
-- neighbour's success, and limits are set per database, where no two migrations write the same catalog row.
DO $$
DECLARE
    wanted text;
    missing record;
BEGIN
    FOREACH wanted IN ARRAY ARRAY['m10_owner NOLOGIN', 'm10_app LOGIN', 'm10_ops LOGIN', 'm10_metrics LOGIN'] LOOP
        CONTINUE WHEN EXISTS (SELECT FROM pg_roles WHERE rolname = split_part(wanted, ' ', 1));
        BEGIN
            EXECUTE 'CREATE ROLE ' || wanted;
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
            NULL;
        END;
    END LOOP;
    -- From PostgreSQL 16 on, who creates a role is its administrator, but may not act as it until granted.
    IF NOT pg_has_role('m10_owner', CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END) THEN
        BEGIN
            EXECUTE format('GRANT m10_owner TO %I', current_user);
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
            NULL;
        END;
    END IF;
    FOR missing IN
        SELECT r.role, s.name, s.value
        FROM unnest(ARRAY['m10_app', 'm10_ops', 'm10_metrics']) AS r(role),
             (VALUES ('search_path', 'pg_catalog, public'), ('statement_timeout', '''30s'''), ('lock_timeout', '''10s'''),
                     ('idle_in_transaction_session_timeout', '''30s'''), ('transaction_timeout', '''60s'''),
                     ('synchronous_commit', 'on')) AS s(name, value)  -- what was acknowledged outlives kill -9
        WHERE EXISTS (SELECT FROM pg_settings known WHERE known.name = s.name)
          AND NOT EXISTS (SELECT FROM pg_db_role_setting had, unnest(had.setconfig) AS entry
                          WHERE had.setrole = r.role::regrole AND split_part(entry, '=', 1) = s.name
                            AND had.setdatabase = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database()))
    LOOP
        EXECUTE format('ALTER ROLE %I IN DATABASE %I SET %I = %s', missing.role, current_database(), missing.name, missing.value);
    END LOOP;
    IF has_schema_privilege('public', 'CREATE WITH GRANT OPTION') THEN
        GRANT USAGE, CREATE ON SCHEMA public TO m10_owner;
        GRANT USAGE ON SCHEMA public TO m10_app, m10_ops, m10_metrics;
    END IF;
    IF to_regnamespace('m10_recovery') IS NULL THEN
        CREATE SCHEMA m10_recovery AUTHORIZATION m10_owner;
    END IF;
END
$$;
