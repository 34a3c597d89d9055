"""Dead letters, replays, retention, the tracked view, settings and the metrics views."""

from datetime import timedelta
from uuid import uuid4

import psycopg
import pytest
from schema_kit import Lab, at_once, refused

from m10actors.postgres import depths
from m10actors.testing.database import MigratedDatabase

APPEND_ONLY = "M1003"
NOW = timedelta(0)


@pytest.fixture
def lab(database: MigratedDatabase) -> Lab:
    return Lab(database)


def test_a_dead_letter_is_archived_once_per_id(lab: Lab) -> None:
    archive = "SELECT m10_recovery.archive_dead_letter('d', '1-0', 1, %s, '{\"a\": 1}', 'poison', 3)"
    first = lab.value(archive, uuid4())
    assert lab.value(archive, uuid4()) == first
    app = [lab.database.connect("app") for _ in range(6)]
    again = "SELECT m10_recovery.archive_dead_letter('e', NULL, NULL, NULL, '{}')"
    assert len(set(at_once([lambda one=one: one.execute(again).fetchone() for one in app]))) == 1
    anonymous = "SELECT m10_recovery.archive_dead_letter(NULL, NULL, NULL, NULL, '{}')"
    assert lab.value(anonymous) != lab.value(anonymous)
    assert refused(app[0], anonymous.replace("'{}'", "NULL")) == psycopg.errors.NotNullViolation.sqlstate


@pytest.mark.parametrize("moment", ["infinity", "-infinity", "294276-01-01", "1999-12-31"])
def test_a_dead_letter_with_a_time_that_no_client_can_read_is_refused(lab: Lab, moment: str) -> None:
    archive = "SELECT m10_recovery.archive_dead_letter('d', NULL, NULL, NULL, '{}', 'poison', 0, %s::timestamptz)"
    assert refused(lab.database.connect("app"), archive, moment) == psycopg.errors.CheckViolation.sqlstate


def test_a_replay_is_told_of_the_one_before_also_when_both_come_at_once(lab: Lab) -> None:
    connections = [lab.database.connect("app") for _ in range(6)]
    record = "SELECT already_replayed, replay_id FROM m10_recovery.record_replay('1-0', 'd')"
    answers = at_once([lambda one=one: one.execute(record).fetchone() for one in connections])
    assert sorted(answer[0] for answer in answers) == [False] + [True] * 5
    assert len({answer[1] for answer in answers}) == 1
    assert lab.value("SELECT message_id FROM m10_recovery.replay_log") == "replay:1-0"


def test_a_burial_writes_the_dead_letter_of_record_with_its_lineage(lab: Lab) -> None:
    candidate = lab.open()
    lab.sql.execute("SELECT m10_recovery.begin_attempts('w', ARRAY[%s::bigint], '{1}', '1 min')", [candidate])
    [dl_msg_id] = lab.bury(candidate)
    letter = lab.sql.execute(
        "SELECT original_msg_id, candidate_id, failure_match_id, payload, reason, reclaim_count"
        " FROM m10_recovery.dead_letter_archive WHERE dl_msg_id = %s",
        [dl_msg_id],
    ).fetchone()
    assert letter == (f"{candidate}:1", candidate, lab.match_ids[candidate], {"why": "poison"}, "poison", 1)
    assert lab.value("SELECT count(*) FROM m10_recovery.evaluation_claim") == 0


def test_a_burial_of_what_has_no_candidate_is_a_dead_letter_all_the_same(lab: Lab) -> None:
    assert len(lab.bury(404, generation=1)) == 1
    assert lab.value("SELECT original_msg_id FROM m10_recovery.dead_letter_archive") == "404:1"


@pytest.mark.parametrize("role", ["ops", "superuser"])
def test_provenance_is_append_only_for_everybody(lab: Lab, role: str) -> None:
    lab.evaluate(lab.open())
    connection = lab.database.connect(role)  # type: ignore[arg-type]
    connection.execute("SET m10_recovery.archiving = 'on'")
    for statement in (
        "UPDATE m10_recovery.suggestion_provenance SET actor = 'me'",
        "DELETE FROM m10_recovery.suggestion_provenance",
    ):
        assert refused(connection, statement) == APPEND_ONLY


def test_the_operations_role_cannot_delete_provenance_by_way_of_its_candidate(lab: Lab) -> None:
    """The cascade would run as the owner, with a setting that anybody may have set."""
    candidate = lab.open()
    lab.evaluate(candidate)
    ops = lab.database.connect("ops")
    ops.execute("SET m10_recovery.archiving = 'on'")
    assert refused(ops, "DELETE FROM public.recovery_candidates") == psycopg.errors.InsufficientPrivilege.sqlstate
    assert lab.provenance(candidate) == ["created", "rule_evaluated", "action_selected"]


def test_retention_archives_inputs_and_provenance_before_it_deletes_them(lab: Lab) -> None:
    candidates = [lab.open() for _ in range(3)]
    for candidate in candidates:
        lab.evaluate(candidate)
    ops = lab.database.connect("ops")
    for kind in ("inputs", "provenance"):
        function = f"SELECT m10_recovery.archive_{kind}(%s, 2)"
        assert ops.execute(function, [timedelta(days=90)]).fetchone() == (0,)
        batches = [2, 1, 0] if kind == "inputs" else [2, 2, 2, 2, 1, 0]  # of a candidate one input, three steps
        assert [ops.execute(function, [NOW]).fetchone() for _ in batches] == [(rows,) for rows in batches]
        table = {"inputs": "suggestion_input", "provenance": "suggestion_provenance"}[kind]
        assert lab.value(f"SELECT count(*) FROM m10_recovery.{table}") == 0
        assert lab.value(f"SELECT count(DISTINCT suggestion_id) FROM m10_recovery.{table}_archive") == 3
    assert refused(ops, "SELECT m10_recovery.archive_inputs('0 s', -1)") == "2201W"


def test_retention_takes_a_closed_candidate_with_all_that_is_left_of_it(lab: Lab) -> None:
    closed, open_ = lab.open(), lab.open()
    lab.evaluate(closed)
    lab.evaluate(open_)
    lab.reject(closed)
    ops = lab.database.connect("ops")
    archive = "SELECT m10_recovery.archive_candidates('180 days', 10)"
    lab.age(closed, timedelta(days=181))
    assert ops.execute(archive).fetchone() == (0,)  # closed long ago, but seen since
    lab.sql.execute("UPDATE recovery_candidates SET last_occurrence_at = now() - interval '181 days'")
    assert ops.execute(archive).fetchone() == (1,)
    assert lab.value("SELECT array_agg(id) FROM recovery_candidates") == [open_]
    assert lab.value("SELECT array_agg(id) FROM m10_recovery.recovery_candidates_archive") == [closed]
    assert lab.value("SELECT count(*) FROM m10_recovery.suggestion_provenance_archive") == 4
    assert lab.value("SELECT count(*) FROM m10_recovery.suggestion_input_archive") == 1
    assert refused(lab.database.connect("app"), archive) == psycopg.errors.InsufficientPrivilege.sqlstate
    lab.match_ids[closed] = lab.match_ids.pop(closed)
    assert lab.repeat(closed).opened  # what comes again is a new candidate


def test_what_other_programs_wrote_does_not_hold_up_the_archiving(lab: Lab) -> None:
    odd, usual = lab.open(), lab.open()
    lab.sql.execute(
        "UPDATE recovery_candidates SET explain = CASE id WHEN %s THEN 'null' ELSE explain END, decision = 'rejected'",
        [odd],
    )
    lab.sql.execute(
        "UPDATE recovery_candidates"
        " SET closed_at = now() - interval '1 year', last_occurrence_at = now() - interval '1 year'"
    )
    archived = lab.database.connect("ops").execute("SELECT m10_recovery.archive_candidates('180 days', 10)").fetchone()
    assert archived == (2,)
    assert lab.value("SELECT array_agg(id ORDER BY id) FROM m10_recovery.recovery_candidates_archive") == [odd, usual]


def test_an_unknown_view_is_an_error_and_a_known_one_is_logged(lab: Lab) -> None:
    ops = lab.database.connect("ops")
    for view in ("nope", "", None):
        assert refused(ops, "SELECT m10_recovery.refresh_mv_tracked(%s)", view) == "22023"
    assert lab.value("SELECT count(*) FROM m10_recovery.matview_refresh_log") == 1  # that of the migration
    candidate = lab.open()
    assert ops.execute("SELECT success, error FROM m10_recovery.refresh_mv_tracked()").fetchone() == (True, None)
    assert lab.value("SELECT array_agg(id) FROM m10_recovery.mv_top_pending") == [candidate]


def test_only_a_refresh_that_succeeded_makes_a_view_fresh(lab: Lab) -> None:
    lab.sql.execute("UPDATE m10_recovery.matview_refresh_log SET started_at = now() - interval '1 h'")
    lab.sql.execute("DROP INDEX m10_recovery.uq_mv_top_pending")  # it cannot be refreshed concurrently any more
    success, error = lab.sql.execute("SELECT success, error FROM m10_recovery.refresh_mv_tracked()").fetchone() or ()
    assert (success, error[:5]) == (False, "55000")
    metrics = lab.database.pool("metrics")
    [view] = depths.view_ages(metrics)
    assert 3600 <= (view.age_seconds or 0) < 3700
    freshness = "SELECT last_attempt_succeeded, last_error FROM m10_recovery.matview_freshness"
    assert lab.sql.execute(freshness).fetchone() == (False, error)
    lab.sql.execute("CREATE UNIQUE INDEX ON m10_recovery.mv_top_pending (id)")
    lab.sql.execute("SELECT m10_recovery.refresh_mv_tracked()")
    assert (depths.view_ages(metrics)[0].age_seconds or 99) < 60


def test_settings_are_written_in_part_and_the_installation_never(lab: Lab) -> None:
    before = lab.value("SELECT installation FROM m10_recovery.settings")
    app = lab.database.connect("app")
    given = '{"reopen_after": "2 hours", "retry_schedule": ["1 s", "2 s"], "installation": "%s", "one": false}'
    app.execute("SELECT m10_recovery.configure(%s::jsonb)", [given % uuid4()])
    row = lab.sql.execute(
        "SELECT installation, reopen_after, retry_schedule, max_retries FROM m10_recovery.settings"
    ).fetchone()
    assert row == (before, timedelta(hours=2), [timedelta(seconds=1), timedelta(seconds=2)], 5)
    assert (
        refused(app, "SELECT m10_recovery.configure('{\"max_retries\": -1}')") == psycopg.errors.CheckViolation.sqlstate
    )


def test_the_depths_count_what_is_waiting_and_how_long_the_oldest_waits(lab: Lab) -> None:
    metrics = lab.database.pool("metrics")
    empty = depths.depths(metrics)
    assert (empty.evaluations_due, empty.work_depth, empty.outbox_pending, empty.outbox_oldest_seconds) == (
        0,
        0,
        0,
        0.0,
    )
    lab.open()
    lab.value("SELECT m10_recovery.enqueue_work(1)")
    lab.publish()
    lab.lead()
    lab.sql.execute(
        "UPDATE m10_recovery.outbox SET created_at = now() - interval '1 h', process_after = now() - interval '1 min'"
    )
    found = depths.depths(metrics)
    assert (found.candidates_pending, found.evaluations_due, found.work_depth, found.outbox_pending) == (1, 1, 1, 1)
    assert 3600 <= found.outbox_oldest_seconds < 3700
    assert 60 <= found.outbox_lag_seconds < 160
    assert [(lock.name, lock.active, lock.epoch) for lock in depths.locks(metrics)] == [
        ("m10:outbox_processor", True, 1)
    ]
