"""`m10 dlq`, on a real database."""

import json
from base64 import b64encode

import pytest
from command_kit import Command, m10  # noqa: F401 (a fixture)
from schema_kit import Lab

from m10actors.postgres import events
from m10actors.postgres.pool import query
from m10actors.testing.database import MigratedDatabase

RAW = b"\xff\xfe\x00\x1b[2J"


@pytest.fixture
def lab(database: MigratedDatabase) -> Lab:
    return Lab(database)


@pytest.fixture
def dlq(m10: Command, database: MigratedDatabase) -> Command:  # noqa: F811
    m10.always["M10_OPS_DATABASE_URL"] = database.url("ops")
    return m10


def entry(lab: Lab, fields: object) -> str:
    """A stream entry that could not be read, as the router and the reconciling job archive it; its dl_msg_id."""
    statement = """INSERT INTO m10_recovery.dead_letter_archive
                       (dl_msg_id, payload, reason, original_msg_id, original_entry_id)
                   VALUES (gen_random_uuid()::text, %s::jsonb, 'not_utf8', '1-1', '1-1') RETURNING dl_msg_id"""
    return str(lab.value(statement, json.dumps({"message_id": "1-1", "fields": fields, "attempts": 3})))


def one_of_each(lab: Lab) -> tuple[int, int, str]:
    """A candidate whose evaluation died, a dead event, an entry; a dead letter of another program too."""
    lab.bury(candidate_id := lab.open())
    event_id = lab.publish(destination="crm")
    lab.deliver("dead", error="destination_not_allowed: crm")
    dl_msg_id = entry(lab, {"candidate_id": {"base64": b64encode(RAW).decode(), "bytes": 7}, "note": "a\nb"})
    lab.value("SELECT m10_recovery.archive_dead_letter('theirs', NULL, NULL, NULL, '[1]', 'boom')")
    return candidate_id, event_id, dl_msg_id


def test_dead_letters_are_listed_newest_first_by_kind_and_by_reason(dlq: Command, lab: Lab) -> None:
    one_of_each(lab)
    listed = dlq("dlq", "list")
    assert (listed.code, listed.err) == (0, "")
    assert [row[1] for row in listed.rows] == ["other", "entry", "event", "evaluation"]
    for kind in ("other", "entry", "event", "evaluation"):
        assert [row[1] for row in dlq("dlq", "list", "--kind", kind).rows] == [kind]
    for reason in ("destination_not_allowed", "destination_not_allowed: crm"):
        assert [row[1] for row in dlq("dlq", "list", "--reason", reason).rows] == ["event"]
    lab.sql.execute(
        "UPDATE m10_recovery.dead_letter_archive SET dead_lettered_at = now() - interval '3 d' WHERE id < 4"
    )
    assert [row[1] for row in dlq("dlq", "list", "--since", "1d").rows] == ["other"]
    assert dlq("dlq", "list", "--limit", "2").err == "the first 2; there are more: --limit or --all\n"


def test_dead_letters_are_counted_in_groups(dlq: Command, lab: Lab) -> None:
    one_of_each(lab)
    newest = lab.publish(destination="erp")
    lab.deliver("dead", error="destination_not_allowed: erp")
    grouped = dlq("dlq", "list", "--grouped", "--json")
    assert [(each["count"], each["kind"], each["cause"]) for each in grouped.json] == [
        (2, "event", "destination_not_allowed"),
        (1, "entry", "not_utf8"),
        (1, "evaluation", "poison"),
        (1, "other", "boom"),
    ]
    shown = dlq("dlq", "show", str(grouped.json[0]["newest_id"]), "--json")
    assert shown.json["event_id"] == newest
    assert [row[0] for row in dlq("dlq", "list", "--grouped", "--kind", "event").rows] == ["2"]


def test_raw_bytes_are_shown_with_escapes(dlq: Command, lab: Lab) -> None:
    _, _, dl_msg_id = one_of_each(lab)
    shown = dlq("dlq", "show", dl_msg_id)
    assert shown.code == 0
    assert "candidate_id\t\\xff\\xfe\\x00\\x1b[2J (7 bytes)" in shown.out
    assert "note\ta\\nb" in shown.out
    assert "\x1b" not in shown.out
    assert dlq("dlq", "show", dl_msg_id, "--json").json["payload"]["fields"]["note"] == "a\nb"


@pytest.mark.parametrize(
    "fields", [{"x": {"base64": "ä", "bytes": 1}}, {"x": {"base64": "a", "bytes": 1}}, ["x"], None, 5]
)
def test_a_payload_of_another_program_is_shown_whatever_it_holds(dlq: Command, lab: Lab, fields: object) -> None:
    shown = dlq("dlq", "show", entry(lab, fields))
    assert (shown.code, shown.err) == (0, "")


def test_a_payload_that_python_cannot_read_is_shown_as_it_begins(dlq: Command, lab: Lab) -> None:
    lab.value("SELECT m10_recovery.archive_dead_letter('deep', NULL, NULL, NULL, %s::jsonb)", "[" * 6000 + "]" * 6000)
    lab.value("SELECT m10_recovery.archive_dead_letter('long', NULL, NULL, NULL, %s::jsonb)", "9" * 5000)
    assert dlq("dlq", "show", "long", "--json").json["payload"] == {"unreadable": "9" * 1000}
    assert dlq("dlq", "show", "deep").code == 0
    assert dlq("dlq", "list", "--json").code == 0


def test_a_dead_letter_knows_its_other_deaths_and_who_sent_it_again(dlq: Command, lab: Lab) -> None:
    event_id = lab.publish()
    lab.deliver("dead", error="http_400")
    events.resend(lab.database.pool("ops"), event_id, "local:op", "fixed")
    lab.deliver("dead", error="http_413")
    second, first = dlq("dlq", "list", "--json").json
    shown = dlq("dlq", "show", str(second["id"]), "--json").json
    assert [each["dl_msg_id"] for each in shown["deaths"]] == [first["dl_msg_id"]]
    assert [(each["by"], each["why"], each["dl_msg_id"]) for each in shown["replays"]] == [
        ("local:op", "fixed", first["dl_msg_id"])
    ]


def test_a_dead_letter_that_is_not_there_is_1_and_a_wrong_name_2(dlq: Command, lab: Lab) -> None:
    for name in ("404", "9" * 30, "00000000-0000-0000-0000-000000000000"):
        shown = dlq("dlq", "show", name)
        assert (shown.code, shown.out, shown.err) == (1, "", f"m10: there is no dead letter {name}\n")
    for name in ("two words", "", "x" * 201, "a\nb"):
        assert dlq("dlq", "show", name).code == 2
    unknown = dlq("dlq", "list", "--kind", "evnt")
    assert (unknown.code, unknown.out) == (2, "")
    assert "'event'" in unknown.err


def test_the_archive_is_read_from_its_end(lab: Lab) -> None:
    lab.sql.execute(
        """INSERT INTO m10_recovery.dead_letter_archive (dl_msg_id, payload)
           SELECT n::text, '{}' FROM generate_series(1, 20000) n"""
    )
    lab.sql.execute("VACUUM ANALYZE m10_recovery.dead_letter_archive")
    nothing = {"kind": None, "reason": None, "since": None, "searched": 100_000, "limit": 51}
    plan = lab.sql.execute(b"EXPLAIN " + query("dead_letters_page"), nothing).fetchall()
    assert not [line[0] for line in plan if "Seq Scan" in line[0]], plan
