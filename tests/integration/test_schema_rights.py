"""Who may do what: the roles of the contract, and nobody else (security checklist, "Database")."""

import re

import psycopg
import pytest
from schema_kit import refused
from test_schema_contract import FUNCTIONS, QUERIES

from m10actors.testing.database import MigratedDatabase, Role

DENIED = psycopg.errors.InsufficientPrivilege.sqlstate
FORBIDDEN = (
    "DROP TABLE public.recovery_candidates",
    "DROP FUNCTION m10_recovery.acquire_lock",
    "DROP SCHEMA m10_recovery CASCADE",
    "TRUNCATE public.recovery_candidates",
    "DELETE FROM public.recovery_candidates",
    "ALTER TABLE public.recovery_candidates ADD x int",
    "ALTER TABLE public.recovery_candidates DISABLE TRIGGER ALL",
    "ALTER ROLE m10_owner LOGIN",
    "CREATE TABLE public.x (id int)",
    "CREATE TABLE m10_recovery.x (id int)",
    "CREATE FUNCTION m10_recovery.x() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE SCHEMA x",
    "CREATE ROLE x",
    "SET ROLE m10_owner",
    "SET SESSION AUTHORIZATION m10_owner",
    "SET session_replication_role = replica",
    "COPY public.recovery_candidates TO PROGRAM 'true'",
    "COPY public.recovery_candidates TO '/tmp/x'",
    "SELECT pg_read_file('/etc/hostname')",
    "SELECT pg_ls_dir('.')",
    "SELECT lo_import('/etc/hostname')",
)


def relations(database: MigratedDatabase) -> list[str]:
    """Every table, view and materialized view of the schema."""
    found = database.connect("superuser").execute(
        """SELECT oid::regclass::text FROM pg_class
           WHERE relnamespace = 'm10_recovery'::regnamespace AND relkind IN ('r', 'p', 'v', 'm')"""
    )
    return [row[0] for row in found]


def test_the_pipeline_can_neither_read_nor_write_any_table_of_the_schema(database: MigratedDatabase) -> None:
    app = database.connect("app")
    names = relations(database)
    assert len(names) > 20
    for name in names:
        assert refused(app, f"SELECT * FROM {name}") == DENIED, name
    for name in ("settings", "outbox", "distributed_locks", "api_token"):
        assert refused(app, f"DELETE FROM m10_recovery.{name}") == DENIED
        assert refused(app, f"INSERT INTO m10_recovery.{name} DEFAULT VALUES") == DENIED


@pytest.mark.parametrize("role", ["app", "ops", "metrics"])
def test_no_role_that_logs_in_can_change_the_schema_or_reach_the_host(database: MigratedDatabase, role: Role) -> None:
    connection = database.connect(role)
    for statement in FORBIDDEN:
        assert refused(connection, statement) == DENIED, statement


def test_the_operations_role_reads_every_table(database: MigratedDatabase) -> None:
    ops = database.connect("ops")
    for name in relations(database):
        assert ops.execute(f"SELECT * FROM {name}").rowcount >= 0, name


def test_the_metrics_role_sees_aggregates_only(database: MigratedDatabase) -> None:
    metrics = database.connect("metrics")
    views = ("metrics_depths", "metrics_executions", "metrics_locks", "matview_freshness")
    may = {f"m10_recovery.{view}" for view in views}
    for name in [*relations(database), "public.recovery_candidates"]:
        if name in may:
            assert metrics.execute(f"SELECT * FROM {name}").rowcount >= 0
        else:
            assert refused(metrics, f"SELECT * FROM {name}") == DENIED, name
    assert refused(metrics, "SELECT m10_recovery.cleanup_expired_locks()") == DENIED


def test_what_goes_round_the_fence_or_deletes_is_for_the_owner_or_operations_only(database: MigratedDatabase) -> None:
    app, ops = database.connect("app"), database.connect("ops")
    for call in (
        "claim_open_events('me', NULL, 10)",
        "settle_events('me', NULL, '{}', '{}', '{}', '{}', '{}')",
    ):
        for connection in (app, ops):
            assert refused(connection, f"SELECT * FROM m10_recovery.{call}") == DENIED, call
    for call in ("archive_provenance", "archive_inputs", "archive_candidates"):
        assert refused(app, f"SELECT m10_recovery.{call}('0 s', 10)") == DENIED, call
        assert ops.execute(f"SELECT m10_recovery.{call}('0 s', 10)").fetchone() == (0,), call


def test_the_pipeline_may_execute_what_it_sends_and_what_the_contract_names_and_no_more(
    database: MigratedDatabase,
) -> None:
    """A query file says where it is for another role."""
    sent = {
        function
        for text in (path.read_text() for path in QUERIES)
        if not re.search(r"^--.*\((operations|metrics) role\)", text, re.MULTILINE)
        for function in re.findall(r"m10_recovery\.(\w+)\(", text)
    }
    others = {"applied_migrations", "upsert_candidates"}  # sent by migrate.py; called by upsert_recovery_candidate
    found = database.connect("superuser").execute(
        """SELECT proname FROM pg_proc
           WHERE pronamespace IN ('m10_recovery'::regnamespace, 'public'::regnamespace)
             AND has_function_privilege('m10_app', oid, 'EXECUTE')"""
    )
    assert {row[0] for row in found} == sent | FUNCTIONS.keys() | others


def test_the_check_at_start_sees_what_each_role_may_do(database: MigratedDatabase) -> None:
    seen = {role: tuple(database.pool(role, size=1).rows("my_rights")[0]) for role in ("app", "ops", "metrics")}
    assert seen == {
        "app": ("m10_app", True, False, False),
        "ops": ("m10_ops", True, True, True),
        "metrics": ("m10_metrics", False, False, True),
    }


def test_everybody_else_can_execute_nothing(database: MigratedDatabase) -> None:
    found = database.connect("superuser").execute(
        """SELECT oid::regprocedure::text FROM pg_proc
           WHERE (pronamespace = 'm10_recovery'::regnamespace OR proname = 'upsert_recovery_candidate')
             AND (proacl IS NULL OR EXISTS (SELECT FROM aclexplode(proacl) g WHERE g.grantee = 0))"""
    )
    assert found.fetchall() == []


def test_everybody_else_can_reach_no_table_and_not_the_schema(database: MigratedDatabase) -> None:
    sql = database.connect("superuser")
    granted = sql.execute(
        """SELECT oid::regclass::text FROM pg_class, aclexplode(relacl) g WHERE g.grantee = 0
             AND (relnamespace = 'm10_recovery'::regnamespace OR relname = 'recovery_candidates')
           UNION ALL SELECT nspname FROM pg_namespace, aclexplode(nspacl) g WHERE g.grantee = 0
             AND nspname = 'm10_recovery'"""
    )
    assert granted.fetchall() == []


def test_every_function_has_its_search_path_pinned_with_the_temporary_schema_last(database: MigratedDatabase) -> None:
    found = database.connect("superuser").execute(
        """SELECT oid::regprocedure::text FROM pg_proc
           WHERE (pronamespace = 'm10_recovery'::regnamespace OR proname = 'upsert_recovery_candidate')
             AND NOT 'search_path=pg_catalog, m10_recovery, pg_temp' = ANY (coalesce(proconfig, '{}'))"""
    )
    assert found.fetchall() == []


def test_all_belongs_to_an_owner_who_is_no_superuser_and_cannot_log_in(database: MigratedDatabase) -> None:
    sql = database.connect("superuser")
    owners = sql.execute(
        """SELECT DISTINCT relowner::regrole::text FROM pg_class
           WHERE relnamespace = 'm10_recovery'::regnamespace OR relname = 'recovery_candidates'
           UNION SELECT proowner::regrole::text FROM pg_proc
           WHERE pronamespace = 'm10_recovery'::regnamespace OR proname = 'upsert_recovery_candidate'"""
    )
    assert owners.fetchall() == [("m10_owner",)]
    role = sql.execute(
        "SELECT rolsuper, rolcanlogin, rolcreaterole, rolbypassrls FROM pg_roles WHERE rolname = 'm10_owner'"
    )
    assert role.fetchone() == (False, False, False, False)


def test_a_temporary_table_with_a_trigger_runs_nothing_as_the_owner(database: MigratedDatabase) -> None:
    """The attack on functions of a definer that look names up in the caller's temporary schema."""
    app = database.connect("app")
    app.execute("CREATE TEMP TABLE caught (by_whom text)")
    app.execute("GRANT ALL ON caught TO PUBLIC")
    app.execute(
        """CREATE FUNCTION pg_temp.evil() RETURNS trigger LANGUAGE plpgsql AS
           $$BEGIN INSERT INTO pg_temp.caught VALUES (current_user); RETURN NEW; END$$"""
    )
    columns = (
        "(lock_name text PRIMARY KEY, holder_id text, acquired_at timestamptz, expires_at timestamptz, epoch bigint)"
    )
    for table in ("distributed_locks", "lock_epoch", "settings", "recovery_candidates", "work_queue"):
        app.execute(f"CREATE TEMP TABLE {table} {columns}")
        app.execute(f"GRANT ALL ON pg_temp.{table} TO PUBLIC")
        app.execute(f"CREATE TRIGGER t BEFORE INSERT ON pg_temp.{table} FOR EACH ROW EXECUTE FUNCTION pg_temp.evil()")
    app.execute(
        "CREATE FUNCTION pg_temp.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS 'SELECT now() + $$9 y$$'"
    )
    app.execute("SET search_path = pg_temp, m10_recovery, public")

    assert app.execute("SELECT m10_recovery.acquire_lock('l', 'me')").fetchone() == (True,)
    assert app.execute("SELECT m10_recovery.enqueue_work(1)").fetchone() == (1,)
    app.execute("SELECT public.upsert_recovery_candidate(gen_random_uuid(), 'x', 0.5, '{}', 'T', 's', 'api', 'me')")

    assert app.execute("SELECT count(*) FROM caught").fetchone() == (0,)
    locks = database.connect("ops").execute(
        "SELECT lock_name, expires_at < now() + interval '1 h' FROM m10_recovery.distributed_locks"
    )
    assert locks.fetchall() == [("l", True)]


@pytest.mark.parametrize("role", ["app", "ops", "metrics"])
def test_every_connection_has_its_limits_and_search_path_from_its_role(database: MigratedDatabase, role: Role) -> None:
    connection = database.connect(role)
    shown = {
        name: connection.execute(f"SHOW {name}").fetchone()
        for name in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", "search_path")
    }
    assert shown == {
        "statement_timeout": ("30s",),
        "lock_timeout": ("10s",),
        "idle_in_transaction_session_timeout": ("30s",),
        "search_path": ("pg_catalog, public",),
    }
    assert connection.execute("SHOW synchronous_commit").fetchone() == ("on",)
