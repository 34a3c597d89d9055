"""Migrations: many at once, an edited file, a death in the middle, and roles with fewer rights."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from schema_kit import at_once

from m10actors.embedded import Addresses
from m10actors.postgres.errors import NotPermitted, StoreError, StoreUnavailable
from m10actors.postgres.migrate import MigrationError, create_database, migrate, migrations, pending, status
from m10actors.shipped import shipped
from m10actors.testing.failpoints import armed
from m10actors.testing.plugin import temporary_servers

SCHEMA = shipped("schema")
NAMES = [migration.name for migration in migrations(SCHEMA)]
ROLES = ("m10_app", "m10_ops", "m10_metrics", "m10_owner")
MIGRATING = """
import sys
from m10actors.postgres.migrate import migrate
from m10actors.shipped import shipped
print("ready", flush=True)
sys.stdin.readline()
print(len(migrate(sys.argv[1], shipped("schema"))))
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Addresses]:
    """A cluster of this module's own: its tests take the roles away, which belong to the whole cluster."""
    with temporary_servers() as servers:
        yield servers.start()


@pytest.fixture
def empty(cluster: Addresses) -> Addresses:
    """The cluster without any database or role of ours."""
    with psycopg.connect(cluster.postgres_superuser_url, autocommit=True) as connection:
        for [name] in connection.execute(
            "SELECT datname FROM pg_database WHERE datname LIKE 't%' AND NOT datistemplate"
        ):
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
        for role in (*ROLES, "limited"):
            connection.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(role)))
    create_database(cluster.postgres_superuser_url, "t")
    return cluster


def url(cluster: Addresses, user: str = "postgres", name: str = "t") -> str:
    return cluster.postgres_url(user, name)


def limited(cluster: Addresses, rights: str, database: str = "t") -> str:
    """The URL of a role that is no superuser and has its own database."""
    with psycopg.connect(cluster.postgres_superuser_url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE ROLE limited LOGIN {}").format(sql.SQL(rights)))  # type: ignore[arg-type]
        connection.execute(sql.SQL("ALTER DATABASE {} OWNER TO limited").format(sql.Identifier(database)))
    return url(cluster, "limited", database)


def test_a_migration_applies_everything_once_and_in_order(empty: Addresses) -> None:
    assert pending(url(empty), SCHEMA) == NAMES
    assert [migration.name for migration in migrate(url(empty), SCHEMA)] == NAMES
    assert migrate(url(empty), SCHEMA) == []
    assert all(entry.applied_at for entry in status(url(empty), SCHEMA))


def test_the_roles_of_the_process_can_ask_what_is_missing(empty: Addresses) -> None:
    migrate(url(empty), SCHEMA)
    for user in ("m10_app", "m10_ops"):
        assert pending(url(empty, user), SCHEMA) == []
    with pytest.raises(NotPermitted):
        pending(url(empty, "m10_metrics"), SCHEMA)


def test_five_processes_on_one_empty_database_apply_everything_once_together(empty: Addresses) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-B", "-c", MIGRATING, url(empty)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(5)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    applied = [int(process.communicate(timeout=30)[0]) for process in processes]
    assert [process.returncode for process in processes] == [0] * 5
    assert sum(applied) == len(NAMES)
    assert pending(url(empty), SCHEMA) == []


def test_five_databases_of_one_cluster_are_migrated_at_once(empty: Addresses) -> None:
    """Roles belong to all of them: every one may find that a neighbour was faster."""
    names = [f"t{n}" for n in range(5)]
    for name in names:
        create_database(empty.postgres_superuser_url, name)
    applied = at_once([lambda name=name: migrate(url(empty, name=name), SCHEMA) for name in names])
    assert [len(each) for each in applied] == [len(NAMES)] * 5
    for name in names:
        with psycopg.connect(url(empty, "m10_app", name)) as connection:
            assert connection.execute("SHOW lock_timeout").fetchone() == ("10s",)


def test_a_database_is_created_once_by_many_at_once(empty: Addresses) -> None:
    at_once([lambda: create_database(empty.postgres_superuser_url, "t many")] * 4)
    assert pending(url(empty, name="t many"), SCHEMA) == NAMES


def test_an_edited_file_is_refused_and_a_new_one_applied(empty: Addresses, tmp_path: Path) -> None:
    folder = tmp_path / "schema"
    shutil.copytree(SCHEMA, folder)
    migrate(url(empty), folder)
    added = folder / "0099_more.sql"
    added.write_text("SELECT 1;")
    with pytest.raises(MigrationError, match="not 1 to"):
        migrate(url(empty), folder)
    added.rename(folder / f"{len(NAMES) + 1:04}_more.sql")
    assert [migration.name for migration in migrate(url(empty), folder)] == [f"{len(NAMES) + 1:04}_more"]
    with (folder / "0005_ingest.sql").open("a") as file:
        file.write("-- edited\n")
    with pytest.raises(MigrationError, match="0005_ingest was edited"):
        migrate(url(empty), folder)


def test_dead_letters_that_lay_there_before_groups_are_described_and_their_replays_known(
    empty: Addresses, tmp_path: Path
) -> None:
    """One of each stage, as 0023 wrote them; the evaluation was replayed."""
    for migration in NAMES[: NAMES.index("0024_replay")]:
        shutil.copy(SCHEMA / f"{migration}.sql", tmp_path)
    migrate(url(empty), tmp_path)
    with psycopg.connect(url(empty), autocommit=True) as connection:
        connection.execute(
            """WITH candidate AS (
                   INSERT INTO public.recovery_candidates
                       (failure_match_id, suggestion, error_code, source, error_message)
                   VALUES (gen_random_uuid(), '', 'TIMEOUT', 'api', 'too slow') RETURNING id
               ), event AS (
                   INSERT INTO m10_recovery.outbox
                       (aggregate_type, aggregate_id, event_type, payload, dead_at, destination)
                   VALUES ('thing', '1', 'webhook:x', '{}', now(), 'crm') RETURNING id
               )
               INSERT INTO m10_recovery.dead_letter_archive
                   (dl_msg_id, original_msg_id, original_entry_id, candidate_id, event_id, payload, reason)
               SELECT 'd1', c.id || ':1', NULL, c.id, NULL::bigint, '{}'::jsonb, 'poison: 17 times' FROM candidate c
               UNION ALL SELECT 'd2', 'outbox:' || e.id, NULL, NULL, e.id, '{}', 'http_500' FROM event e
               UNION ALL SELECT 'd3', NULL, '7-0', NULL, NULL, '{"fields": {"x1": "y"}}', 'bad_candidate_id'
               UNION ALL SELECT 'd4', NULL, NULL, NULL, NULL, '[1]', NULL"""
        )
        connection.execute(
            """INSERT INTO m10_recovery.replay_log (message_id, original_msg_id, dl_msg_id, replayed_at)
               SELECT 'replay:1', d.original_msg_id, d.dl_msg_id, now()
               FROM m10_recovery.dead_letter_archive d WHERE d.dl_msg_id = 'd1'"""
        )
        migrate(url(empty), SCHEMA)
        found = connection.execute(
            """SELECT dl_msg_id, stage, error_code, source, message, event_type, destination, replayed_at IS NOT NULL,
                      is_counted, length(fingerprint)
               FROM m10_recovery.dead_letter_archive ORDER BY dl_msg_id"""
        )
        assert found.fetchall() == [
            ("d1", "evaluation", "TIMEOUT", "api", "too slow", None, None, True, True, 16),
            ("d2", "delivery", None, None, None, "webhook:x", "crm", False, False, 16),
            ("d3", "entry", None, None, '{"x1": "y"}', None, None, False, False, 16),
            ("d4", "other", None, None, None, None, None, False, False, 16),
        ]
        groups = connection.execute("SELECT count(DISTINCT fingerprint) FROM m10_recovery.dead_letter_archive")
        assert groups.fetchone() == (4,)


def test_a_file_that_fails_is_named_and_leaves_nothing(empty: Addresses, tmp_path: Path) -> None:
    (tmp_path / "0001_roles.sql").write_text((SCHEMA / "0001_roles.sql").read_text())
    (tmp_path / "0002_bad.sql").write_text("CREATE TABLE m10_recovery.half (id int); SELECT 1/0;")
    with pytest.raises(MigrationError, match="0002_bad"):
        migrate(url(empty), tmp_path)
    with psycopg.connect(url(empty)) as connection:
        assert connection.execute("SELECT to_regclass('m10_recovery.half')").fetchone() == (None,)


@pytest.mark.parametrize("nth", [1, 2, len(NAMES)])
def test_a_death_in_the_middle_leaves_nothing_half_done_and_the_next_run_completes(empty: Addresses, nth: int) -> None:
    with armed(f"migrate.mid:raise:RuntimeError:{nth}"), pytest.raises(RuntimeError):
        migrate(url(empty), SCHEMA)
    assert pending(url(empty), SCHEMA) == (NAMES[nth - 1 :] if nth > 2 else NAMES)
    assert [migration.name for migration in migrate(url(empty), SCHEMA)] == NAMES[nth - 1 :]


def test_a_role_that_may_not_create_roles_is_told_what_to_do_and_gets_along_once_it_was_done(empty: Addresses) -> None:
    migrating = limited(empty, "NOCREATEROLE")
    with pytest.raises(MigrationError, match="--print-sql roles"):
        migrate(migrating, SCHEMA)
    with psycopg.connect(url(empty), autocommit=True) as administrator:
        administrator.execute((SCHEMA / "0001_roles.sql").read_bytes())
        with pytest.raises(MigrationError, match="membership of m10_owner"):
            migrate(migrating, SCHEMA)
        administrator.execute("GRANT m10_owner TO limited")
    assert len(migrate(migrating, SCHEMA)) == len(NAMES)
    assert pending(url(empty, "m10_app"), SCHEMA) == []


def test_a_role_that_may_create_roles_needs_no_superuser(empty: Addresses) -> None:
    assert len(migrate(limited(empty, "CREATEROLE"), SCHEMA)) == len(NAMES)
    with psycopg.connect(url(empty, "m10_app")) as connection:
        assert connection.execute("SELECT m10_recovery.acquire_lock('l', 'me')").fetchone() == (True,)


def test_the_printed_roles_may_be_run_again_and_change_nothing_then(empty: Addresses) -> None:
    catalogs = """SELECT (SELECT json_agg(r ORDER BY r.oid) FROM pg_roles r)::text,
                         (SELECT json_agg(s ORDER BY s.setrole) FROM pg_db_role_setting s)::text,
                         (SELECT json_agg(n ORDER BY n.oid) FROM pg_namespace n)::text,
                         (SELECT json_agg(m ORDER BY m.oid) FROM pg_auth_members m)::text"""
    text = (SCHEMA / "0001_roles.sql").read_bytes()
    with psycopg.connect(url(empty), autocommit=True) as connection:
        connection.execute(text)
        before = connection.execute(catalogs).fetchone()
        connection.execute(text)
        assert connection.execute(catalogs).fetchone() == before


def test_an_operators_own_limit_outlives_a_second_run(empty: Addresses) -> None:
    text = (SCHEMA / "0001_roles.sql").read_bytes()
    with psycopg.connect(url(empty), autocommit=True) as connection:
        connection.execute(text)
        connection.execute("ALTER ROLE m10_app IN DATABASE t SET statement_timeout = '7s'")
        connection.execute(text)
    with psycopg.connect(url(empty, "m10_app")) as connection:
        assert connection.execute("SHOW statement_timeout").fetchone() == ("7s",)


def test_a_server_that_cannot_be_reached_is_weather(tmp_path: Path) -> None:
    nowhere = f"postgresql://postgres@/t?host={tmp_path}"
    for ask in (migrate, status, pending):
        with pytest.raises(StoreUnavailable):
            ask(nowhere, SCHEMA)
    with pytest.raises(StoreError):
        create_database(nowhere, "t")
