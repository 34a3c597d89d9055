"""Outbox and provenance in partitions: every id has its place, and what is past its age goes as a whole."""

import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from schema_kit import Lab, in_background, refused

from m10actors.application.jobs import retention_rules
from m10actors.config import Settings
from m10actors.ops.partitions import LEAST, partitions
from m10actors.ops.retention import retention
from m10actors.postgres.errors import StoreContention
from m10actors.postgres.migrate import create_database, migrate
from m10actors.postgres.outbox import Completion
from m10actors.postgres.pool import Database
from m10actors.shipped import shipped
from m10actors.testing.database import MigratedDatabase

BUSY = psycopg.errors.LockNotAvailable.sqlstate
PARTITIONS = "SELECT name, first_id, bound FROM m10_recovery.partitions(%s)"
WHERE = "SELECT tableoid::regclass::text FROM m10_recovery.{} WHERE {} = %s"


@pytest.fixture
def lab(database: MigratedDatabase) -> Lab:
    return Lab(database)


@pytest.fixture
def ops(database: MigratedDatabase) -> Database:
    return database.pool("ops", size=1)


Migrating = tuple[psycopg.Connection[Any], Callable[[], object]]


@pytest.fixture
def of_before(database: MigratedDatabase, tmp_path: Path) -> Iterator[Migrating]:
    """A database that has no partitions yet, and what makes them."""
    name = f"{database.name}_of_before"
    create_database(database.addresses.postgres_superuser_url, name)
    url = database.addresses.postgres_url("postgres", name)
    for file in sorted(shipped("schema").glob("*.sql"))[:25]:
        shutil.copy(file, tmp_path)
    migrate(url, tmp_path)
    shutil.copy(shipped("schema") / "0026_partitions.sql", tmp_path)
    with psycopg.connect(url, autocommit=True) as sql:
        yield sql, lambda: migrate(url, tmp_path)
    database.connect("superuser").execute(f"DROP DATABASE {name} WITH (FORCE)")


def test_a_database_of_before_keeps_its_rows_where_they_lie(of_before: Migrating) -> None:
    sql, partition = of_before
    publish = "SELECT m10_recovery.publish_outbox('thing', 'a', 'webhook:x', '{}')"
    opened = "SELECT id FROM public.upsert_recovery_candidate(gen_random_uuid(), 's', 0, '{}', 'X', 's', 'a', 'b')"
    [event] = sql.execute(publish).fetchone() or ()
    sql.execute(opened)
    file_of = "SELECT pg_relation_filenode(%s)"
    tables = ("outbox", "suggestion_provenance")
    before = [sql.execute(file_of, [f"m10_recovery.{each}"]).fetchone() for each in tables]
    partition()
    assert [sql.execute(file_of, [f"m10_recovery.{each}_0"]).fetchone() for each in tables] == before
    assert sql.execute(publish).fetchone() == (event + 1,)
    assert sql.execute("SELECT array_agg(id) FROM m10_recovery.outbox_summary").fetchone() == ([event, event + 1],)
    assert sql.execute("SELECT outbox_pending FROM m10_recovery.metrics_depths").fetchone() == (2,)
    [candidate] = sql.execute(opened).fetchone() or ()
    ids = "SELECT array_agg(id ORDER BY id), max(suggestion_id) FROM m10_recovery.suggestion_provenance"
    assert sql.execute(ids).fetchone() == ([1, 2], candidate)


def test_what_others_gave_made_and_wrote_is_there_after_the_migration(of_before: Migrating) -> None:
    sql, partition = of_before
    rights = "SELECT relacl::text FROM pg_class WHERE oid = 'm10_recovery.outbox'::regclass"
    sql.execute("GRANT SELECT ON m10_recovery.outbox TO m10_metrics")
    sql.execute("GRANT UPDATE (last_error) ON m10_recovery.outbox TO m10_metrics WITH GRANT OPTION")
    [given] = sql.execute(rights).fetchone() or ()
    sql.execute("""CREATE VIEW public.of_others AS SELECT outbox.id, suggestion_provenance.event_type
                   FROM m10_recovery.outbox LEFT JOIN m10_recovery.suggestion_provenance ON true""")
    sql.execute("ALTER VIEW public.of_others OWNER TO m10_owner")
    sql.execute(
        "INSERT INTO m10_recovery.outbox (id, aggregate_type, aggregate_id, event_type, payload)"
        " SELECT id, 'thing', 'a', 'webhook:x', '{}' FROM unnest(%s::bigint[]) id",
        [[-7, LEAST, 2**62]],
    )
    partition()
    assert sql.execute(rights).fetchone() == (given,)
    columns = "SELECT attacl::text FROM pg_attribute WHERE attrelid = 'm10_recovery.outbox'::regclass AND attname = %s"
    assert sql.execute(columns, ["last_error"]).fetchone() == ("{m10_metrics=w*/m10_owner}",)
    assert sql.execute("SELECT array_agg(id ORDER BY id) FROM of_others").fetchone() == ([-7, LEAST, 2**62],)
    ahead = "SELECT array_agg(id ORDER BY id) FROM m10_recovery.outbox_default"
    assert sql.execute(ahead).fetchone() == ([LEAST, 2**62],)


@pytest.mark.parametrize("given", [-5, 0, LEAST, 2 * LEAST, 2**62])
def test_an_event_has_a_place_whatever_its_id(lab: Lab, given: int) -> None:
    lab.sql.execute(
        "INSERT INTO m10_recovery.outbox (id, aggregate_type, aggregate_id, event_type, payload)"
        " VALUES (%s, 'thing', '1', 'webhook:x', '{}')",
        [given],
    )
    assert [each.id for each in lab.claim(lab.lead())] == [given]
    with pytest.raises(psycopg.errors.UniqueViolation):
        lab.sql.execute(f"INSERT INTO m10_recovery.outbox SELECT * FROM m10_recovery.outbox WHERE id = {given}")


def test_partitions_are_made_before_their_ids_are_given(lab: Lab, ops: Database) -> None:
    job = partitions(ops)
    assert job.run(threading.Event()) == {"outbox": 0, "suggestion_provenance": 0}
    _give(lab, "outbox", LEAST)
    assert job.run(threading.Event()) == {"outbox": 1, "suggestion_provenance": 0}
    assert _bounds(lab, "outbox") == [(None, LEAST), (LEAST, 2 * LEAST), (2 * LEAST, 3 * LEAST)]
    event = lab.publish()
    assert lab.value(WHERE.format("outbox", "id"), event) == f"m10_recovery.outbox_{LEAST}"


def test_ids_that_were_given_before_their_partition_was_made_stay_where_they_are(lab: Lab, ops: Database) -> None:
    _give(lab, "outbox", 2 * LEAST + 9)
    overflown = lab.publish()
    far = 3 * LEAST
    lab.sql.execute(
        "INSERT INTO m10_recovery.outbox (id, aggregate_type, aggregate_id, event_type, payload)"
        " VALUES (%s, 'thing', '1', 'webhook:x', '{}')",
        [far],
    )
    assert ops.value("add_partitions", {"table": "outbox", "least": LEAST}) >= 1
    assert _bounds(lab, "outbox")[2][0] == far + 1
    assert lab.value(WHERE.format("outbox", "id"), overflown) == "m10_recovery.outbox_default"
    assert {each.id for each in lab.claim(lab.lead())} == {overflown}  # the far one is of the same aggregate, and waits


def test_partitions_grow_with_what_the_table_spans(lab: Lab, ops: Database) -> None:
    for step in range(1, 45):
        _give(lab, "outbox", step * LEAST)
        assert ops.value("add_partitions", {"table": "outbox", "least": LEAST}) <= 1
    widths = [bound - first for first, bound in _bounds(lab, "outbox") if first is not None]
    assert widths == sorted(widths)
    assert widths[-1] == 4 * LEAST


def test_a_table_in_use_is_left_alone_and_nobody_waits_for_long(lab: Lab, ops: Database) -> None:
    _give(lab, "outbox", LEAST)
    reader = lab.database.connect("superuser")
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM m10_recovery.outbox")
    assert refused(lab.database.connect("ops"), "SELECT m10_recovery.add_partitions('outbox', 4000000)") == BUSY
    assert partitions(ops).run(threading.Event()) == {"outbox": 0, "suggestion_provenance": 0}
    assert lab.publish() == LEAST + 1
    reader.execute("COMMIT")
    assert partitions(ops).run(threading.Event())["outbox"] == 1


def test_a_default_partition_that_is_large_is_not_read_while_everybody_waits(lab: Lab) -> None:
    _give(lab, "outbox", 2 * LEAST)
    lab.publish()
    add = "SELECT m10_recovery.add_partitions('outbox', 4000000, %s)"
    assert refused(lab.database.connect("ops"), add, 0) == psycopg.errors.ProgramLimitExceeded.sqlstate
    assert lab.value(add, 8192) == 1


def test_a_partition_of_delivered_events_goes_and_what_is_open_or_dead_or_was_only_now_delivered_stays(
    lab: Lab, ops: Database
) -> None:
    delivered, late, dead, first, behind = (lab.publish(each) for each in ("a", "b", "c", "d", "d"))
    lab.sql.execute(
        "UPDATE m10_recovery.outbox SET created_at = now() - interval '9 days',"
        " processed_at = CASE id WHEN %s THEN now() - interval '8 days' WHEN %s THEN now() END,"
        " dead_at = CASE id WHEN %s THEN now() END",
        [delivered, late, dead],
    )
    lab.claim(lab.lead())  # `behind` is set behind `first`
    drop = {"older_than": timedelta(days=7), "limit": 4}
    assert ops.value("drop_outbox", drop) is None  # ids of it are still to be given
    _give(lab, "outbox", LEAST)
    assert ops.value("drop_outbox", drop | {"limit": 3}) is None  # more than that is to be kept
    assert ops.value("drop_outbox", drop) == 1
    assert ops.value("drop_outbox", drop) is None
    kept = lab.sql.execute("SELECT id, tableoid::regclass::text FROM m10_recovery.outbox ORDER BY id").fetchall()
    assert [tuple(row) for row in kept] == [
        (each, "m10_recovery.outbox_default") for each in (late, dead, first, behind)
    ]
    assert lab.event(behind).waits_behind == first
    newest = lab.publish("e")
    assert [each.id for each in lab.claim(lab.lead())] == [newest]


def test_rows_of_a_partition_that_will_go_wait_for_it_but_not_for_ever(lab: Lab, ops: Database) -> None:
    lab.publish("old")
    _give(lab, "outbox", LEAST - 2)
    lab.publish("newest of its partition")
    lab.publish("of the next")
    lab.sql.execute("UPDATE m10_recovery.outbox SET processed_at = now() - interval '8 days'")
    ages = "UPDATE m10_recovery.outbox SET created_at = now() - %s WHERE aggregate_id = %s"
    week = {"older_than": timedelta(days=7), "limit": 10}
    for days, gone in ((8, 0), (11, 2)):
        lab.sql.execute(ages, [timedelta(days=days), "old"])
        assert ops.value("delete_outbox", week) == gone
    lab.sql.execute(ages, [timedelta(days=8), "of the next"])
    assert ops.value("delete_outbox", week) == 1  # ids of that partition are still given


def test_provenance_past_its_age_becomes_a_part_of_the_archive_as_it_lies(lab: Lab, ops: Database) -> None:
    candidate = lab.open()
    lab.evaluate(candidate)
    lab.sql.execute("ALTER TABLE m10_recovery.suggestion_provenance DISABLE TRIGGER append_only")
    lab.sql.execute("UPDATE m10_recovery.suggestion_provenance SET created_at = now() - interval '91 days'")
    lab.sql.execute("ALTER TABLE m10_recovery.suggestion_provenance ENABLE TRIGGER append_only")
    rows = lab.provenance(candidate)
    record = lab.value("SELECT record FROM m10_recovery.last_record(%s)", candidate)
    file = lab.value("SELECT pg_relation_filenode('m10_recovery.suggestion_provenance_0')")
    quarter = {"older_than": timedelta(days=90), "limit": 10}
    assert ops.value("archive_provenance_partition", quarter) is None
    _give(lab, "suggestion_provenance", LEAST)
    assert ops.value("archive_provenance_partition", quarter) == len(rows)
    assert ops.value("archive_provenance_partition", quarter) is None
    assert lab.provenance(candidate) == []
    archived = (
        "SELECT array_agg(event_type ORDER BY id), max(archived_at) <= now()"
        " FROM m10_recovery.suggestion_provenance_archive"
    )
    assert tuple(lab.sql.execute(archived).fetchone() or ()) == (rows, True)
    assert lab.value("SELECT pg_relation_filenode('m10_recovery.suggestion_provenance_archive_0')") == file
    assert lab.value("SELECT record FROM m10_recovery.last_record(%s)", candidate) == record
    assert partitions(ops).run(threading.Event())["suggestion_provenance"] == 1
    assert lab.repeat(candidate, 4).became_due  # and what is written goes into the partitions that are there
    lab.evaluate(candidate)
    since = lab.provenance(candidate)
    lab.reject(candidate)
    lab.age(candidate, timedelta(days=200))
    lab.sql.execute("UPDATE recovery_candidates SET last_occurrence_at = closed_at")
    assert ops.value("archive_candidates", {"older_than": timedelta(days=180), "limit": 10}) == 1
    assert lab.value("SELECT count(*) FROM m10_recovery.suggestion_provenance_archive") > len(rows) + len(since)


def test_events_flow_while_partitions_come_and_go(lab: Lab, database: MigratedDatabase) -> None:
    _give(lab, "outbox", 2 * LEAST)
    epoch, ended, done, dropped = lab.lead(), threading.Event(), list[int](), list[int]()

    def deliver() -> None:
        while not ended.is_set() or lab.value("SELECT count(*) FROM m10_recovery.outbox WHERE processed_at IS NULL"):
            completions = [Completion(event.id, "delivered") for event in lab.claim(epoch, limit=20)]
            done.extend(each.event_id for each in lab.complete(epoch, *completions))

    def come_and_go() -> None:
        ops = database.pool("ops", size=1)
        while not ended.is_set():
            with suppress(StoreContention):
                ops.value("add_partitions", {"table": "outbox", "least": 40})
                dropped.append(ops.value("drop_outbox", {"older_than": timedelta(0), "limit": 1000}) or 0)

    leader, job = in_background(deliver), in_background(come_and_go)
    published: list[int] = []
    while len(published) < 300 or not any(dropped):
        published.append(lab.publish(str(len(published) % 7)))
    ended.set()
    leader.result(60)
    job.result(60)
    assert sorted(done) == published


def test_what_retention_takes_as_a_whole_is_counted(lab: Lab, ops: Database) -> None:
    for each in range(3):
        lab.publish(str(each))
    lab.sql.execute(
        "UPDATE m10_recovery.outbox"
        " SET created_at = now() - interval '9 days', processed_at = now() - interval '8 days'"
    )
    _give(lab, "outbox", LEAST)
    holder = lab.database.connect("superuser")
    holder.execute("BEGIN")
    holder.execute("SELECT FROM m10_recovery.outbox")
    job = retention(ops, [rule for rule in retention_rules(Settings().retention) if rule.name == "outbox"], 100)
    assert job.run(threading.Event()) == {"outbox": 0}
    holder.execute("ROLLBACK")
    assert job.run(threading.Event()) == {"outbox": 3}
    assert lab.value("SELECT rows_deleted FROM m10_recovery.retention_jobs WHERE name = 'outbox'") == 3
    assert lab.value("SELECT count(*) FROM pg_class WHERE relname = 'outbox_0'") == 0


def _give(lab: Lab, table: str, last: int) -> None:
    """As if all ids up to this one had been given."""
    lab.value(f"SELECT setval('m10_recovery.{table}_id_seq', %s)", last)


def _bounds(lab: Lab, table: str) -> list[tuple[int | None, int]]:
    return [(row[1], row[2]) for row in lab.sql.execute(PARTITIONS, [table])]
