"""`m10 outbox`, on a real database."""

import pytest
from command_kit import Command, m10  # noqa: F401 (a fixture)
from schema_kit import Lab

from m10actors.cli.listing import operator
from m10actors.postgres.pool import query
from m10actors.testing.database import MigratedDatabase

UNUSED = "postgresql://u:s3cret@127.0.0.1:1/x"


@pytest.fixture
def lab(database: MigratedDatabase) -> Lab:
    return Lab(database)


@pytest.fixture
def outbox(m10: Command, database: MigratedDatabase) -> Command:  # noqa: F811
    m10.always["M10_OPS_DATABASE_URL"] = database.url("ops")
    return m10


def three_events(lab: Lab) -> tuple[int, int, int]:
    """A dead one, a delivered one and an open one."""
    dead = lab.publish("1", destination="crm")
    lab.deliver("dead", error="http_400: no\x1b[2J")
    done = lab.publish("2", destination="crm")
    lab.deliver()
    return dead, done, lab.publish("3", destination="other")


def test_events_are_listed_newest_first_and_by_state(outbox: Command, lab: Lab) -> None:
    dead, done, pending = three_events(lab)
    listed = outbox("outbox", "list")
    assert (listed.code, listed.err) == (0, "")
    assert [row[:2] for row in listed.rows] == [
        [str(pending), "waiting"],
        [str(done), "delivered"],
        [str(dead), "dead"],
    ]
    for flag, event_id in (("--pending", pending), ("--dead", dead), ("--done", done)):
        assert [row[0] for row in outbox("outbox", "list", flag).rows] == [str(event_id)], flag
    assert [row[0] for row in outbox("outbox", "list", "--destination", "crm").rows] == [str(done), str(dead)]
    assert outbox("outbox", "list", "--event-type", "webhook:y").rows == []
    assert "http_400: no\\x1b[2J" in outbox("outbox", "list", "--dead").out


def test_since_asks_when_it_was_written_and_of_dead_ones_when_they_died(outbox: Command, lab: Lab) -> None:
    dead, _, pending = three_events(lab)
    lab.sql.execute("UPDATE m10_recovery.outbox SET created_at = created_at - interval '3 h' WHERE id < %s", [pending])
    assert [row[0] for row in outbox("outbox", "list", "--since", "2h").rows] == [str(pending)]
    assert [row[0] for row in outbox("outbox", "list", "--since", "2h", "--dead").rows] == [str(dead)]
    assert outbox("outbox", "list", "--since", "2099-12-31T00:00+01:00").rows == []


def test_a_list_says_what_it_leaves_out(outbox: Command, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    three_events(lab)
    listed = outbox("outbox", "list", "--limit", "2", "--json")
    assert (len(listed.json), listed.err) == (2, "the first 2; there are more: --limit or --all\n")
    assert len(outbox("outbox", "list", "--limit", "2", "--all", "--json").json) == 3
    monkeypatch.setattr("m10actors.postgres.inspection.SEARCHED", 2)
    hidden = outbox("outbox", "list", "--event-type", "webhook:y")
    assert "--all looks at all of them" in hidden.err
    assert outbox("outbox", "list", "--event-type", "webhook:y", "--all").err == "none\n"


def test_an_event_is_shown_with_its_key_its_payload_and_its_deaths(outbox: Command, lab: Lab) -> None:
    event_id = lab.publish(destination="crm", payload='{"text": "a\\nb\\u001b[2J", "n": 1}')
    lab.deliver("dead", error="http_400: no")
    shown = outbox("outbox", "show", str(event_id), "--json")
    assert (shown.code, shown.json["payload"]) == (0, {"text": "a\nb\x1b[2J", "n": 1})
    assert shown.json["idempotency_key"] == lab.value(
        "SELECT m10_recovery.event_key(id, aggregate_type, aggregate_id, event_type) FROM m10_recovery.outbox"
    )
    text = outbox("outbox", "show", str(event_id)).out
    assert shown.json["idempotency_key"] in text
    assert shown.json["deaths"][0]["dl_msg_id"] in text
    assert "\x1b" not in text
    lab.sql.execute("INSERT INTO m10_recovery.paused_destination (name, reason) VALUES ('crm', 'http_410')")
    assert outbox("outbox", "show", str(event_id), "--json").json["paused"] == "http_410"


def test_a_dead_event_is_sent_again_once(outbox: Command, lab: Lab) -> None:
    dead, _, pending = three_events(lab)
    sent = outbox("outbox", "resend", str(dead), str(dead), "--note", "receiver fixed")
    assert (sent.code, sent.out, sent.err) == (0, f"event {dead}: is sent again\n", "")
    again = outbox("outbox", "resend", str(dead), str(pending), "--json")
    assert (again.code, [each["outcome"] for each in again.json]) == (0, ["already_open"] * 2)
    [resend] = outbox("outbox", "show", str(dead), "--json").json["resends"]
    assert (resend["by"], resend["why"]) == (operator(), "receiver fixed")


def test_what_cannot_be_sent_again_is_told_and_the_others_are(outbox: Command, lab: Lab) -> None:
    dead, done, _ = three_events(lab)
    sent = outbox("outbox", "resend", str(done), "404", str(dead))
    assert (sent.code, sent.out) == (1, f"event {dead}: is sent again\n")
    assert sent.err == (
        f"event {done}: was delivered: --delivered sends it again all the same\nevent 404: there is no such event\n"
    )
    assert outbox("outbox", "resend", str(done), "--delivered").code == 0


def test_an_event_that_is_not_there_is_1(outbox: Command, lab: Lab) -> None:
    shown = outbox("outbox", "show", "404")
    assert (shown.code, shown.out) == (1, "")
    assert shown.err.startswith("m10: there is no event 404")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("show", "abc"), "Invalid value for 'ID'"),
        (("show", "0"), "Invalid value for 'ID'"),
        (("show", str(2**63)), "Invalid value for 'ID'"),
        (("show",), "Missing argument 'ID'"),
        (("resend",), "Missing argument 'ID…'"),
        (("resend", "1", "x"), "Invalid value for 'ID…'"),
        (("resend", "1", "--note", "x" * 4001), "a note has at most 4000 characters"),
        (("list", "--limit", "many"), "Invalid value for '--limit'"),
        (("list", "--limit", "0"), "Invalid value for '--limit'"),
        (("list", "--pending", "--dead"), "--pending, --dead and --done exclude one another"),
        (("list", "--since", "yesterday"), "a duration back from now, such as 2h or 7d"),
        (("list", "--since", "2026-01-31T08:00"), "with its offset"),
        (("list", "--since", "999999999d"), "a duration back from now"),
        (("list", "--since", "0001-01-01T00:00+23:59"), "in this century"),
        (("list", "--pendig"), "--pending"),
        (("lsit",), "Did you mean 'list'?"),
        (("list", "--database", "x", "--data-dir", "y"), "exclude one another"),
        (("list", "--database", "mysql://x"), "database.ops_url"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, tuple) else "",
)
def test_wrong_usage_says_what_was_expected(m10: Command, words: tuple[str, ...], said: str) -> None:  # noqa: F811
    ran = m10("outbox", *words, M10_OPS_DATABASE_URL=UNUSED)
    assert (ran.code, ran.out) == (2, "")
    assert said in " ".join(ran.err.replace("│", " ").split())
    assert "s3cret" not in ran.err


def test_a_database_that_is_away_is_69_and_none_at_all_is_2(m10: Command) -> None:  # noqa: F811
    away = m10("outbox", "list", M10_OPS_DATABASE_URL=UNUSED)
    assert (away.code, away.out) == (69, "")
    assert "s3cret" not in away.err
    nowhere = m10("outbox", "list")
    assert (nowhere.code, nowhere.out) == (2, "")
    assert "M10_OPS_DATABASE_URL" in nowhere.err
    assert m10("outbox", "list", "--data-dir", "nothing").code == 69


def test_the_pipelines_own_role_is_told_which_address_is_needed(m10: Command, database: MigratedDatabase) -> None:  # noqa: F811
    refused = m10("outbox", "list", DATABASE_URL=database.url("app"))
    assert (refused.code, refused.out) == (2, "")
    assert "M10_OPS_DATABASE_URL" in refused.err


def test_lists_do_not_scan_the_table(lab: Lab) -> None:
    """With 20,000 delivered events no list reads them all, whatever it asks for."""
    lab.sql.execute(
        """INSERT INTO m10_recovery.outbox (aggregate_type, aggregate_id, event_type, payload, processed_at)
           SELECT 'thing', n::text, 'webhook:x', '{}', now() FROM generate_series(1, 20000) n"""
    )
    lab.sql.execute("VACUUM ANALYZE m10_recovery.outbox")
    nothing = {"destination": None, "event_type": None, "since": None, "searched": 100_000, "limit": 51}
    for name in ("outbox_pending", "outbox_dead", "outbox_done", "outbox_all"):
        plan = lab.sql.execute(b"EXPLAIN " + query(name), nothing).fetchall()
        assert not [line[0] for line in plan if "Seq Scan on outbox_0" in line[0]], name  # the others are empty
