"""Pauses: by verbs and over HTTP, with who and why, over restarts, until they are resumed or their time is over."""

import threading
import urllib.request
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from life_kit import Engine
from schema_kit import Lab, refused

from m10actors.cli import pausing
from m10actors.cli.errors import WrongUsage
from m10actors.postgres import controls
from m10actors.recovery.pauses import Part, Pause, Pauses
from m10actors.testing.database import MigratedDatabase
from m10actors.testing.receiver import TAKEN, Answer, Receiver, Request
from m10actors.testing.waiting import eventually


@pytest.fixture
def engine(tmp_path: Path, database: MigratedDatabase, redis_url: str) -> Iterator[Engine]:
    made = Engine(tmp_path, database, redis_url)
    yield made
    made.close()


def phases(engine: Engine) -> dict[str, str]:
    """The phase of each child by its id."""

    def walk(child: dict[str, Any]) -> Iterator[tuple[str, str]]:
        yield child["id"], child["phase"]
        for inner in child["children"]:
            yield from walk(inner)

    return dict(walk(engine.ask("/ops/tree")))


def test_a_paused_part_stays_paused_over_a_restart_until_it_is_resumed(engine: Engine) -> None:
    engine.start()
    said = engine.m10("pause", "delivery", "--why", "the receiver moves")
    assert (said.returncode, "the receiver moves" in said.stdout) == (0, True), said.stderr
    found = eventually(lambda: (now := phases(engine))["outbox_leader"] == "parked" and now)
    assert found
    assert [found[name] for name in ("delivery_workers", "stream_reader", "root")] == ["parked", "running", "running"]
    assert engine.end() == 0
    engine.start()
    assert engine.events("part_paused")[0]["reason"] == "the receiver moves"
    assert engine.events("leader_elected") == []
    status = eventually(lambda: (now := engine.ask("/ops/status"))["ready"] == "ready" and now)
    assert status
    assert (status["paused"][0]["part"], status["paused"][0]["until"]) == ("delivery", None)
    assert status["paused"][0]["by"].startswith("local (claims: ")
    waiting = {child["id"]: child["parked_on"] for child in status["not_running"]}
    assert waiting == {"outbox_leader": ["delivery"], "delivery_workers": ["delivery"]}
    assert 'm10_paused{part="delivery"} 1.0' in scrape(engine)
    assert engine.m10("resume", "delivery", "intake").stdout == "resumed\ndelivery\n"
    eventually(lambda: engine.events("leader_elected"))
    assert 'm10_paused{part="delivery"} 0.0' in scrape(engine)
    assert engine.end() == 0
    log = engine.database.connect("ops").execute(
        "SELECT part, change, reason FROM m10_recovery.control_log WHERE kind = 'part' ORDER BY id"
    )
    assert log.fetchall() == [("delivery", "paused", "the receiver moves"), ("delivery", "resumed", None)]


def scrape(engine: Engine) -> str:
    with urllib.request.urlopen(f"{engine.facts()['api']}/metrics", timeout=10) as answer:
        text: str = answer.read().decode()
    return text


def test_a_pause_with_an_end_ends_by_itself_and_intake_goes_on_storing_meanwhile(engine: Engine) -> None:
    engine.start()
    eventually(lambda: engine.ask("/ops/status")["ready"] == "ready")
    [made] = engine.ask("/ops/pause", {"parts": ["intake"], "reason": "a migration", "for_seconds": 3600})["paused"]
    since, until = (datetime.fromisoformat(made[name]) for name in ("since", "until"))
    assert until - since == timedelta(hours=1)
    eventually(lambda: phases(engine)["stream_reader"] == "parked")
    with engine.database.connect("ops") as ops:  # its end has come
        ops.execute("UPDATE m10_recovery.control SET until = clock_timestamp() WHERE part = 'intake'")
    eventually(lambda: engine.events("part_resumed"))
    eventually(lambda: set(phases(engine).values()) == {"running"})
    assert engine.ask("/ops/status")["paused"] == []
    assert engine.end() == 0


@pytest.mark.parametrize(
    ("length", "until", "words"),
    [
        ("soon", None, "--for: expected a duration"),
        ("2h", datetime(2030, 1, 1), "give one"),  # noqa: DTZ001 - what the option gives
        (None, datetime(2020, 1, 1), "has to lie ahead"),  # noqa: DTZ001
        (None, datetime(1, 1, 1), "has to lie ahead|does not reach"),  # noqa: DTZ001
    ],
)
def test_an_end_that_cannot_be_meant_is_refused_before_anybody_is_asked(
    length: str | None, until: datetime | None, words: str
) -> None:
    with pytest.raises(WrongUsage, match=words):
        pausing.pause([Part.JOBS], "why", length, until)


def test_what_is_paused_is_seen_by_the_pipeline_and_changed_by_operations_only(database: MigratedDatabase) -> None:
    app, ops = database.pool("app"), database.pool("ops")
    [first] = controls.pause(ops, [Part.JOBS, Part.JOBS], "one", "a reason", None)
    assert (first.part, first.by, first.reason, first.until) == (Part.JOBS, "one", "a reason", None)
    [again] = controls.pause(ops, [Part.JOBS], "two", "another", timedelta(hours=1))
    assert (again.since, again.by, again.until is not None) == (first.since, "two", True)
    assert controls.pauses(app) == (again,)
    assert controls.resume(ops, list(Part), "three", None) == (Part.JOBS,)
    assert controls.resume(ops, list(Part), "three", None) == ()
    assert controls.pauses(app) == ()
    connection = database.connect("app")
    for call in ("pause_parts('{jobs}', 'me', 'why', NULL)", "resume_parts('{jobs}', 'me', NULL)"):
        assert refused(connection, f"SELECT * FROM m10_recovery.{call}") == "42501"
    for statement in ("UPDATE m10_recovery.control_log SET reason = ''", "DELETE FROM m10_recovery.control_log"):
        assert refused(database.connect("ops"), statement) == "42501"


def test_a_pause_that_is_over_begins_anew_and_is_not_resumed(database: MigratedDatabase) -> None:
    ops = database.pool("ops")
    [first] = controls.pause(ops, [Part.JOBS], "one", "a reason", timedelta(0))
    assert controls.pauses(database.pool("app")) == ()
    [again] = controls.pause(ops, [Part.JOBS], "one", "a reason", timedelta(0))
    assert again.since > first.since
    assert controls.resume(ops, [Part.JOBS], "one", None) == ()


def test_who_subscribes_hears_how_everything_stands_and_then_every_change() -> None:
    at = datetime.fromisoformat("2030-01-01T00:00:00+00:00")
    pause = Pause(Part.JOBS, "one", "why", at, at)
    pauses, heard = Pauses(), list[tuple[Part, Pause | None]]()
    pauses.subscribe(lambda part, now: heard.append((part, now)))
    assert (heard, pauses.held_back) == ([], frozenset(Part))
    assert pauses.observe([pause]) == [(Part.JOBS, pause)]
    assert heard == [(Part.INTAKE, None), (Part.DELIVERY, None), (Part.JOBS, pause), (Part.ACTIONS, None)]
    late = list[tuple[Part, Pause | None]]()
    pauses.subscribe(lambda part, now: late.append((part, now)))
    assert (late, pauses.held_back) == (heard, frozenset({Part.JOBS}))
    assert pauses.observe([pause]) == []
    assert pauses.observe([]) == [(Part.JOBS, None)]
    assert (heard[4:], late[4:]) == ([(Part.JOBS, None)], [(Part.JOBS, None)])
    assert str(pause) == "paused by one until 2030-01-01 00:00:00 UTC: why"


def test_when_actions_are_stopped_nothing_that_no_person_approved_goes_out_and_afterwards_everything_does(
    engine: Engine,
) -> None:
    """The receiver answers slowly: most of what was claimed waits for a worker when the switch is thrown."""
    arrived, may_answer = list[Request](), threading.Event()

    def answer(request: Request) -> Answer:
        arrived.append(request)
        may_answer.wait(20)
        return TAKEN

    with Receiver() as receiver:
        receiver.answer = answer
        engine.write(
            outbox__max_concurrent_http=2,
            outbox__poll_interval="1h",
            actions__retry_exponential__event="webhook:recovery",
            actions__retry_exponential__destination="receiver",
            destinations__receiver__url=receiver.url,
            destinations__receiver__allow_http=True,
            destinations__receiver__allow_networks=["127.0.0.0/8"],
        )
        lab = Lab(engine.database)
        by_itself, approved = [lab.open() for _ in range(12)], lab.open()
        for each in by_itself:
            lab.evaluate(each, execute=True)
        lab.evaluate(approved)
        engine.start()
        eventually(lambda: len(arrived) == 2)
        said = engine.m10("pause", "actions", "--why", "they make it worse")
        assert said.returncode == 0, said.stderr
        in_flight = len(arrived)
        assert engine.ask("/ops/status")["paused"][0]["part"] == "actions"
        may_answer.set()
        assert engine.m10("candidates", "approve", str(approved)).returncode == 0
        eventually(lambda: lab.row(approved).execution_status == "succeeded")
        assert len(arrived) == in_flight + 1
        assert engine.m10("resume", "actions").returncode == 0
        eventually(lambda: all(lab.row(each).execution_status == "succeeded" for each in by_itself))
        assert len(arrived) == len(by_itself) + 1
        assert engine.end() == 0
