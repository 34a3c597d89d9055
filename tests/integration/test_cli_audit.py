"""`m10 audit`: one trail of what happened and who did it."""

import json
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cli_kit import M10
from command_kit import Command, m10  # noqa: F401 (a fixture)
from schema_kit import Lab

from m10actors.cli.listing import operator
from m10actors.embedded import EmbeddedServers
from m10actors.postgres import audit, controls, destinations, events, purges, tokens
from m10actors.postgres.audit import Entry, Kind, Tail, TrailFilter
from m10actors.postgres.dead_letters import LetterFilter
from m10actors.postgres.errors import StoreUnavailable
from m10actors.postgres.pool import Database, jsonb
from m10actors.recovery.pauses import Part
from m10actors.testing.database import MigratedDatabase
from m10actors.testing.waiting import eventually

ALL = 1000


@pytest.fixture
def lab(database: MigratedDatabase) -> Lab:
    return Lab(database)


@pytest.fixture
def m10_audit(m10: Command, database: MigratedDatabase) -> Command:  # noqa: F811
    m10.always["M10_OPS_DATABASE_URL"] = database.url("ops")
    return m10


def ops(lab: Lab) -> Database:
    return lab.database.pool("ops", size=1)


def trail(lab: Lab, **wanted: object) -> list[Entry]:
    """The oldest first, without the migrations, unless they are asked for."""
    found = audit.trail(ops(lab), TrailFilter(**wanted), ALL).rows[::-1]  # type: ignore[arg-type]
    return [entry for entry in found if wanted.get("kinds") or entry.kind != Kind.MIGRATION]


def test_what_happens_to_a_candidate_and_to_the_engine_is_one_trail_in_order_of_time(lab: Lab) -> None:
    candidate = lab.open()
    lab.evaluate(candidate)
    controls.pause(ops(lab), [Part.DELIVERY], "ann", "the receiver moves", None)
    lab.approve(candidate)
    controls.resume(ops(lab), [Part.DELIVERY], "bob", None)
    lab.deliver("dead", error="http_400: no")
    [event] = [entry.details["event_id"] for entry in trail(lab, kinds=(Kind.DEAD_LETTER,))]
    events.resend(ops(lab), event, "ann", "it was their fault")
    told = [(entry.event, entry.subject) for entry in trail(lab)]
    about = f"candidate {candidate}"
    assert told == [
        ("created", about),
        ("rule_evaluated", about),
        ("action_selected", about),
        ("paused", "delivery"),
        ("approved", about),
        ("resumed", "delivery"),
        ("given_up", told[6][1]),
        ("failure", about),
        ("resent", about),
    ]
    [resent] = trail(lab, kinds=(Kind.REPLAY,))
    assert (resent.actor, resent.actor_type, resent.details["why"]) == ("ann", "human", "it was their fault")
    assert [entry.event for entry in trail(lab, candidate=candidate, kinds=(Kind.VERDICT, Kind.REPLAY))] == [
        "approved", "resent",
    ]  # fmt: skip


def test_what_operators_and_processes_change_is_told_with_their_names(lab: Lab) -> None:
    tokens.create(ops(lab), "ci", ["recovery:read"], "ann")
    assert tokens.revoke(ops(lab), "ci", "bob")
    destinations.pause(ops(lab), "crm", "moves", "ann")
    destinations.resume(ops(lab), "crm", "bob")
    for version in ("one", "one", "two"):
        lab.app.rows("configure", {"settings": jsonb({"rules_version": version, "max_retries": 7, "by": "host:1:a"})})
    controls.note_drain(ops(lab), "host:1:a", "ann")
    purges.purge(ops(lab), LetterFilter(), "bob", "tests")
    told = [(entry.kind, entry.subject, entry.event, entry.actor) for entry in trail(lab)]
    assert sorted(told[4:6]) == [
        ("rules", "rules", "changed", "host:1:a"),
        ("settings", "settings", "changed", "host:1:a"),
    ]
    assert told[:4] + told[6:] == [
        ("token", "token ci", "created", "ann"),
        ("token", "token ci", "revoked", "bob"),
        ("pause", "destination crm", "paused", "ann"),
        ("pause", "destination crm", "resumed", "bob"),
        ("rules", "rules", "changed", "host:1:a"),
        ("process", "process host:1:a", "drain asked", "ann"),
        ("purge", "dead letters", "purged", "bob"),
    ]
    switched = trail(lab, kinds=(Kind.RULES,))[-1]
    assert switched.details == {"rules_version": {"before": "one", "after": "two"}}
    assert [entry.event for entry in trail(lab, actor="AN")] == ["created", "paused", "drain asked"]
    assert trail(lab, kinds=(Kind.MIGRATION,))[-1].event == "applied"


def test_a_change_by_hand_stands_under_whoever_is_connected(lab: Lab) -> None:
    hand = lab.database.connect("ops")
    hand.execute("INSERT INTO m10_recovery.paused_destination VALUES ('crm', 'by hand')")
    hand.execute("DELETE FROM m10_recovery.paused_destination")
    assert [(entry.event, entry.actor) for entry in trail(lab)] == [("paused", "m10_ops"), ("resumed", "m10_ops")]


def test_what_was_archived_is_told_of_its_candidate_and_of_all_where_it_is_asked_for(lab: Lab) -> None:
    candidate = lab.open()
    lab.evaluate(candidate)
    ops(lab).value("archive_provenance", {"older_than": timedelta(0), "limit": ALL})
    assert trail(lab) == []
    assert [entry.event for entry in trail(lab, candidate=candidate)][:2] == ["created", "rule_evaluated"]
    assert trail(lab, with_archive=True) == trail(lab, candidate=candidate)


def test_a_replay_of_another_program_and_one_without_a_candidate_are_told_once(lab: Lab) -> None:
    lab.database.connect("app").execute("SELECT m10_recovery.record_replay('1-0', 'd', NULL, NULL, '2-0', 'other')")
    event = lab.publish(destination="crm")
    lab.deliver("dead", error="http_400: no")
    events.resend(ops(lab), event, "ann", None)
    told = [(entry.event, entry.subject, entry.actor) for entry in trail(lab, kinds=(Kind.REPLAY,))]
    assert told == [("replayed", "message 1-0", "other"), ("resent", f"message outbox:{event}", "ann")]


def test_the_command_prints_the_newest_in_order_of_time(m10_audit: Command, lab: Lab) -> None:
    first, second = lab.open(), lab.open()
    listed = m10_audit("audit", "--limit", "2")
    assert [row[3:5] for row in listed.rows] == [["created", f"candidate {first}"], ["created", f"candidate {second}"]]
    assert listed.err == "the newest 2; there are more: --limit or --all\n"
    said = m10_audit("audit", "--candidate", str(second), "--json")
    assert [(entry["kind"], entry["event"]) for entry in said.json] == [("evaluation", "created")]
    assert datetime.fromisoformat(said.json[0]["at"]) <= datetime.now(UTC)
    assert m10_audit("audit", "--since", "1h", "--kind", "verdict", "--kind", "purge").err == "none\n"
    assert m10_audit("audit", "--until", "2001-01-01T00:00Z").err == "none\n"
    assert m10_audit("token", "new", "ci").code == 0
    assert [row[1] for row in m10_audit("audit", "--kind", "token").rows] == [operator()]


def test_options_that_exclude_one_another_are_refused(m10_audit: Command) -> None:
    for words in (
        ["--check", "--candidate", "1"],
        ["--check", "--all"],
        ["--follow", "--all"],
        ["--timeout", "1s"],
        ["--kind", "nothing"],
    ):
        assert m10_audit("audit", *words).code == 2, words


def test_a_tail_tells_each_entry_once_also_one_that_is_committed_late(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without any rows of leeway, so that it is the open transaction that each look goes back to."""
    monkeypatch.setattr(audit, "BACK", 0)
    lab.open()
    tail = Tail(ops(lab), TrailFilter(kinds=(Kind.EVALUATION,)))
    early, late = lab.database.connect("superuser"), lab.database.connect("superuser")
    opening = "INSERT INTO public.recovery_candidates (failure_match_id, suggestion) VALUES (gen_random_uuid(), '')"
    with early.transaction():
        early.execute(opening.encode())
        assert [entry.event for entry in tail.begin(10)] == ["created"]
        assert tail.next() == []
        with late.transaction():
            late.execute(opening.encode())
            for _ in range(3):
                quick = lab.open()
                assert [entry.candidate_id for entry in tail.next()] == [quick]
                assert tail.next() == []
        assert [entry.event for entry in tail.next()] == ["created"]
        assert tail.next() == []
    assert [entry.event for entry in tail.next()] == ["created"]
    assert tail.next() == tail.next() == []
    assert [entry.candidate_id for entry in (lab.open(), tail.next())[1]] == [quick + 1]


def test_a_tail_that_could_not_look_tells_what_came_meanwhile(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its looks begin and PostgreSQL goes away in the middle of each."""
    monkeypatch.setattr(audit, "BACK", 0)
    store = ops(lab)
    tail = Tail(store, TrailFilter(kinds=(Kind.EVALUATION,)))
    tail.begin(10)
    came = [lab.open()]
    real = store.rows

    def away(name: str, *given: Any) -> Any:
        if name == "audit_trail":
            raise StoreUnavailable("away")
        return real(name, *given)

    with monkeypatch.context() as patch:
        patch.setattr(store, "rows", away)
        for _ in range(3):
            with pytest.raises(StoreUnavailable):
                tail.next()
            came.append(lab.open())
    assert [entry.candidate_id for entry in tail.next()] == came


def test_words_of_other_programs_are_of_a_kind_of_their_own(lab: Lab) -> None:
    lab.open()
    lab.sql.execute(
        "INSERT INTO m10_recovery.suggestion_provenance (suggestion_id, event_type, details, actor)"
        " SELECT id, 'mused', '[1]', 'them' FROM public.recovery_candidates"
    )
    [mused] = trail(lab, kinds=(Kind.OTHER,))
    assert (mused.kind, mused.event, mused.details) == ("other", "mused", {"details": [1]})
    assert [entry.kind for entry in trail(lab)] == ["evaluation", "other"]


@pytest.fixture
def following(lab: Lab, m10: Command) -> Iterator["subprocess.Popen[bytes]"]:  # noqa: F811
    lab.open()
    process = M10(m10.home).begin("audit", "--follow", "--json", M10_OPS_DATABASE_URL=lab.database.url("ops"))
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_following_outlives_an_outage(servers: EmbeddedServers, lab: Lab, following: "subprocess.Popen[bytes]") -> None:
    assert following.stdout is not None
    assert following.stderr is not None
    assert following.stdout.readline()
    servers.postgres.stop("fast")
    assert b"goes on when it is back" in following.stderr.readline()
    servers.postgres.start()
    assert following.stderr.readline() == b"PostgreSQL is back\n"
    came = lab.open()
    assert any(json.loads(line)["candidate_id"] == came for line in iter(following.stdout.readline, b""))


def test_following_prints_a_line_for_each_entry_as_it_comes(lab: Lab, following: "subprocess.Popen[bytes]") -> None:
    assert following.stdout is not None
    lines = iter(following.stdout.readline, b"")
    old = (json.loads(line) for line in lines)
    assert next(entry for entry in old if entry["kind"] == "evaluation")["event"] == "created"
    controls.pause(ops(lab), [Part.JOBS], "ann", "why not", None)
    assert json.loads(next(lines))["actor"] == "ann"
    following.terminate()
    eventually(lambda: following.poll() is not None)
