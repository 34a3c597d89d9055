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
    assert [row[1] for row in listed.rows] == ["other", "entry", "delivery", "evaluation"]
    for stage in ("other", "entry", "delivery", "evaluation"):
        assert [row[1] for row in dlq("dlq", "list", "--stage", stage).rows] == [stage]
    for reason in ("destination_not_allowed", "destination_not_allowed: crm"):
        assert [row[1] for row in dlq("dlq", "list", "--reason", reason).rows] == ["delivery"]
    for option, value in {"--destination": "crm", "--event-type": "webhook:x"}.items():
        assert [row[1] for row in dlq("dlq", "list", option, value).rows] == ["delivery"]
    for option, value in {"--code": "TIMEOUT", "--source": "api"}.items():
        assert [row[1] for row in dlq("dlq", "list", option, value).rows] == ["evaluation"]
    lab.sql.execute(
        "UPDATE m10_recovery.dead_letter_archive SET dead_lettered_at = now() - interval '3 d' WHERE id < 4"
    )
    assert [row[1] for row in dlq("dlq", "list", "--since", "1d").rows] == ["other"]
    assert len(dlq("dlq", "list", "--until", "1d").rows) == 3
    assert dlq("dlq", "list", "--limit", "2").err == "the first 2; there are more: --limit or --all\n"


def test_dead_letters_are_counted_by_their_cause(dlq: Command, lab: Lab) -> None:
    one_of_each(lab)
    newest = lab.publish(destination="crm")
    lab.deliver("dead", error="destination_not_allowed: crm")
    grouped = dlq("dlq", "stats", "--json")
    assert next((each["count"], each["stage"], each["cause"]) for each in grouped.json) == (
        (2, "delivery", "destination_not_allowed")
    )
    assert {(each["count"], each["stage"], each["cause"]) for each in grouped.json[1:]} == {
        (1, "entry", "not_utf8"),
        (1, "evaluation", "poison"),
        (1, "other", "boom"),
    }
    first = grouped.json[0]
    assert (first["destination"], first["event_type"], first["reason"]) == (
        "crm", "webhook:x", "destination_not_allowed: crm",
    )  # fmt: skip
    assert first["next"].startswith("allow the destination")
    assert dlq("dlq", "show", str(first["sample_id"]), "--json").json["event_id"] == newest
    assert len(dlq("dlq", "list", "--fingerprint", first["fingerprint"]).rows) == 2
    assert [row[0] for row in dlq("dlq", "stats", "--stage", "delivery").rows] == ["2"]


def test_ten_thousand_dead_letters_of_twenty_causes_show_as_twenty_groups_with_a_sample(dlq: Command, lab: Lab) -> None:
    """Numbers and ids differ in each of them: ten failures that cannot be evaluated, five receivers that answer in two
    ways.
    """
    lab.sql.execute(
        """WITH died AS (
               INSERT INTO public.recovery_candidates
                   (failure_match_id, suggestion, error_code, error_message, source, fingerprint, evaluated_generation)
               SELECT gen_random_uuid(), '', 'CODE_' || n % 10, 'order ' || n || ' too slow', 'shop',
                      md5((n % 10)::text), 1
               FROM generate_series(1, 5000) n RETURNING id)
           INSERT INTO m10_recovery.dead_letter_archive (dl_msg_id, original_msg_id, candidate_id, payload, reason)
           SELECT 'e' || id, id || ':1', id, '{}', 'evaluator_failed: KeyError' FROM died"""
    )
    lab.sql.execute(
        """WITH died AS (
               INSERT INTO m10_recovery.outbox (aggregate_type, aggregate_id, event_type, destination, payload, dead_at)
               SELECT 'thing', n::text, 'webhook:x', 'receiver' || n % 5, '{}', now() FROM generate_series(1, 5000) n
               RETURNING id)
           INSERT INTO m10_recovery.dead_letter_archive (dl_msg_id, original_msg_id, event_id, payload, reason)
           SELECT 'd' || id, 'outbox:' || id, id, '{}',
                  'http_50' || CASE WHEN id % 10 < 5 THEN 0 ELSE 3 END || ': request 7f' || id || 'a of '
                  || gen_random_uuid()
           FROM died"""
    )
    groups = dlq("dlq", "stats", "--json").json
    assert [each["count"] for each in groups] == [500] * 20
    for each in groups:
        assert each["reason"]
        assert each["next"]
        assert each["first_seen"] <= each["last_seen"]
        assert each["waiting"] == 500
        about = (
            [each["error_code"], each["message"], each["source"]]
            if each["stage"] == "evaluation"
            else [each["event_type"], each["destination"]]
        )
        assert all(about)
    assert len(dlq("dlq", "stats").rows) == 20


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
    second, first = dlq("dlq", "list", "--state", "any", "--json").json
    assert [each["id"] for each in dlq("dlq", "list", "--json").json] == [second["id"]]
    assert [each["id"] for each in dlq("dlq", "list", "--state", "replayed", "--json").json] == [first["id"]]
    assert (first["replays"], second["replays"]) == (0, 1)
    shown = dlq("dlq", "show", str(second["id"]), "--json").json
    assert [each["dl_msg_id"] for each in shown["deaths"]] == [first["dl_msg_id"]]
    assert [(each["by"], each["why"], each["dl_msg_id"]) for each in shown["replay_log"]] == [
        ("local:op", "fixed", first["dl_msg_id"])
    ]


def test_a_dead_letter_that_is_not_there_is_1_and_a_wrong_name_2(dlq: Command, lab: Lab) -> None:
    for name in ("404", "9" * 30, "00000000-0000-0000-0000-000000000000"):
        shown = dlq("dlq", "show", name)
        assert (shown.code, shown.out, shown.err) == (1, "", f"m10: there is no dead letter {name}\n")
    for name in ("two words", "", "x" * 201, "a\nb"):
        assert dlq("dlq", "show", name).code == 2
    unknown = dlq("dlq", "list", "--stage", "delivry")
    assert (unknown.code, unknown.out) == (2, "")
    assert "'delivery'" in unknown.err


def test_a_dead_event_shows_how_its_attempts_went(dlq: Command, lab: Lab) -> None:
    lab.publish()
    lab.deliver("dead", error="http_400", attempt={"status": 400, "ms": 12})
    [listed] = dlq("dlq", "list", "--json").json
    [attempt] = dlq("dlq", "show", str(listed["id"]), "--json").json["attempts"]
    assert (attempt["number"], attempt["outcome"], attempt["status"], attempt["ms"]) == (1, "dead", 400, 12)
    assert "\tdead\t400\t12\thttp_400" in dlq("dlq", "show", str(listed["id"])).out


def test_the_archive_is_read_from_its_end(lab: Lab) -> None:
    lab.sql.execute(
        """INSERT INTO m10_recovery.dead_letter_archive (dl_msg_id, payload)
           SELECT n::text, '{}' FROM generate_series(1, 20000) n"""
    )
    lab.sql.execute("VACUUM ANALYZE m10_recovery.dead_letter_archive")
    lab.sql.execute("LOAD 'auto_explain'")
    for name in ("log_min_duration = 0", "log_nested_statements = on", "log_level = 'notice'"):
        lab.sql.execute(f"SET auto_explain.{name}")
    plans: list[str] = []
    lab.sql.add_notice_handler(lambda notice: plans.append(notice.message_primary or ""))
    lab.sql.execute(query("dead_letters_page"), {"wanted": "{}", "searched": 100, "limit": 51}).fetchall()
    [inner] = [plan for plan in plans if "dead_letter_archive" in plan]
    assert "Seq Scan" not in inner, inner
