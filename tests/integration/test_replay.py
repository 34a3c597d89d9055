"""`m10 dlq replay` and `purge`, on real servers, with a real engine where something is evaluated or delivered."""

import json
from pathlib import Path

import pipeline_kit
import pytest
from command_kit import Command, m10  # noqa: F401 (a fixture)
from pipeline_kit import NAMES, World, running
from schema_kit import Lab

from m10actors.hints import Hints
from m10actors.ops import replay as ops
from m10actors.ops.replay import LOCK, TTL, Pace, Replayer
from m10actors.postgres import locks, replays
from m10actors.postgres.dead_letters import LetterFilter
from m10actors.postgres.errors import LeaseLost
from m10actors.postgres.outbox import OUTBOX_LOCK
from m10actors.recovery.dependency import Dependency
from m10actors.streams import RedisClient, StreamProducer
from m10actors.testing import replay as campaign
from m10actors.testing.database import MigratedDatabase
from m10actors.testing.receiver import Answer
from m10actors.testing.waiting import eventually

world = pipeline_kit.world
ALL = LetterFilter(state="waiting")
YES = ("--yes", "--why", "repaired")
FAST = ("--rate", "10000")


@pytest.fixture
def lab(database: MigratedDatabase) -> Lab:
    return Lab(database)


@pytest.fixture
def dlq(m10: Command, database: MigratedDatabase, redis_url: str) -> Command:  # noqa: F811
    m10.always |= {"M10_OPS_DATABASE_URL": database.url("ops"), "REDIS_URL": redis_url}
    return m10


def dead_event(lab: Lab, url: str = "", destination: str | None = None) -> int:
    """An event that has died; the number of its dead letter."""
    lab.publish(payload=json.dumps({"webhook_url": url, "data": 1}), destination=destination)
    die(lab)
    return newest(lab)


def die(lab: Lab) -> None:
    """All that is due; whoever wants to lead afterwards may."""
    lab.deliver("dead", error="http_400")
    lab.sql.execute("DELETE FROM m10_recovery.distributed_locks WHERE lock_name = %s", [OUTBOX_LOCK])


def dead_evaluation(lab: Lab) -> int:
    lab.bury(lab.open())
    return newest(lab)


def dead_entry(lab: Lab, **fields: object) -> int:
    lab.value(
        """INSERT INTO m10_recovery.dead_letter_archive
               (dl_msg_id, payload, reason, original_msg_id, original_entry_id)
           VALUES (gen_random_uuid()::text, %s::jsonb, 'bad_candidate_id', '1-1', '1-1') RETURNING id""",
        json.dumps({"fields": fields}),
    )
    return newest(lab)


def newest(lab: Lab) -> int:
    return int(lab.value("SELECT max(id) FROM m10_recovery.dead_letter_archive"))


def held(lab: Lab, holder: str = "me") -> int:
    epoch = locks.acquire(lab.database.pool("ops"), LOCK, holder, TTL)
    assert epoch is not None
    return epoch


def replayed(lab: Lab, wanted: LetterFilter = ALL, cap: int = 3) -> list[replays.Replayed]:
    """All of it in one step, as a replay does it."""
    store = lab.database.pool("ops")
    run = replays.begin(store, wanted, cap, 0.1, "local:op", "repaired")
    if run is None:
        return []
    done = replays.replay_items(store, run.id, "me", held(lab), "local:op", 1000)
    replays.note(store, run.id, "local:op", "done", "done", "rest")
    return done


def test_without_yes_it_says_what_would_be_done_and_why_not_and_changes_nothing(dlq: Command, lab: Lab) -> None:
    dead_evaluation(lab)
    dead_event(lab)
    dead_entry(lab, candidate_id="x")
    lab.value("SELECT m10_recovery.archive_dead_letter('theirs', NULL, NULL, NULL, '[1]', 'boom')")
    lab.evaluate(gone := lab.open(), execute=True)
    lab.deliver("dead", error="http_413")
    lab.sql.execute(
        "UPDATE m10_recovery.outbox SET processed_at = now(), dead_at = NULL WHERE candidate_id = %s", [gone]
    )
    planned = dlq("dlq", "replay", "--all")
    assert (planned.code, planned.err) == (0, "2 of 5 would be replayed; nothing was: --yes --why TEXT\n")
    asked = dlq("dlq", "replay", "--all", "--json").json
    assert (asked["found"], asked["replayable"]) == (5, 2)
    assert {each["refused"] for each in asked["groups"]} == {None, "needs_edit", "not_ours", "delivered"}
    assert dlq("dlq", "replay", "--stage", "entry").rows[0][5] == "cannot be read: m10 dlq replay ID --edit"
    assert lab.value("SELECT count(*) FROM m10_recovery.replay_run") == 0
    assert len(dlq("dlq", "list").rows) == 5


def test_it_wants_to_know_which_and_why(dlq: Command, lab: Lab) -> None:
    for words in ((), ("--all", "--stage", "entry"), ("--all", "--yes"), ("1", "--edit"), ("--all", "--patience", "x")):
        assert dlq("dlq", "replay", *words).code == 2, words
    for words in ((), ("--all", "--yes")):
        assert dlq("dlq", "purge", *words).code == 2, words
    assert dlq("dlq", "replay", "--resume", "7").err == "m10: there is no replay 7\n"
    for words in ((), YES):
        absent = dlq("dlq", "replay", "7", "8", *words)
        assert (absent.code, absent.out, absent.err) == (1, "", "m10: there is no dead letter 7, 8\n")
    nothing = dlq("dlq", "replay", "--all", *YES)
    assert (nothing.code, nothing.err) == (0, "nothing of it can be replayed; without --yes it says why\n")


def test_evaluations_are_decided_and_events_delivered_once_more(dlq: Command, lab: Lab, world: World) -> None:
    candidates = [lab.open() for _ in range(3)]
    for candidate in candidates:
        lab.bury(candidate)
    for _ in range(3):
        dead_event(lab, world.receiver.url)
    with running(world, outbox__poll_interval="50ms"):
        done = dlq("dlq", "replay", "--all", *YES, *FAST)
        assert (done.code, done.out) == (0, ""), done.err
        assert "replay 1: 6 of 6 replayed, 6 ended well\n" in done.err
        eventually(lambda: len(world.receiver.ledger.taken()) == 6)
        again = dlq("dlq", "replay", "--all", *YES, "--json")
        assert (again.code, again.json) == (0, {"replayable": 0})
    assert [lab.row(each).evaluated_generation for each in candidates] == [2, 2, 2]
    assert "replayed" in lab.provenance(candidates[0])
    assert not world.receiver.ledger.repeated()
    assert (
        lab.value("SELECT count(*) FROM m10_recovery.replay_log WHERE why = 'repaired' AND replayed_at IS NOT NULL")
        == 6
    )
    assert dlq("dlq", "list").rows == []
    [run] = dlq("dlq", "replays", "--json").json
    assert (run["state"], run["why"], [step["phase"] for step in run["steps"]]) == (
        "done", "repaired", ["first", "rest", "rest"],
    )  # fmt: skip


def test_the_message_of_a_replayed_evaluation_names_its_dead_letter(dlq: Command, lab: Lab, world: World) -> None:
    number = dead_evaluation(lab)
    ended = dlq("dlq", "replay", str(number), *YES, "--patience", "0.1s")
    assert ended.code == 0, ended.err
    [(_, fields)] = world.raw.xrange(NAMES.stream)
    assert fields[b"replayed_from_dl"].decode() == lab.value("SELECT dl_msg_id FROM m10_recovery.dead_letter_archive")
    assert fields[b"message_id"].endswith(b":2")
    assert fields[b"replayed_at"]


def test_where_failures_return_it_stops_within_its_first_percent_and_goes_on_when_told(
    dlq: Command, lab: Lab, world: World
) -> None:
    for _ in range(300):
        lab.publish(payload=json.dumps({"webhook_url": world.receiver.url, "data": 1}))
    lab.sql.execute("UPDATE m10_recovery.outbox SET aggregate_id = id::text")
    for _ in range(3):
        die(lab)
    world.receiver.answer = lambda _: Answer(200 if len(world.receiver.ledger.taken()) == 0 else 500)
    with running(world, outbox__poll_interval="50ms", outbox__retry_schedule=["1h"] * 5):
        stopped = dlq("dlq", "replay", "--all", *YES, *FAST)
        assert stopped.code == 1
        assert "stopped at 3 of 300: " in stopped.err
        assert "m10 dlq replay --resume 1 goes on where it stands" in stopped.err
        assert lab.value("SELECT count(*) FROM m10_recovery.outbox WHERE dead_at IS NULL") == 3
        world.receiver.answer = lambda _: Answer()
        lab.sql.execute("UPDATE m10_recovery.outbox SET process_after = now() WHERE retry_count > 0")
        resumed = dlq("dlq", "replay", "--resume", "1", *FAST)
        assert resumed.code == 0, resumed.err
        assert "300 of 300 replayed, 300 ended well" in resumed.err
        assert dlq("dlq", "replay", "--resume", "1").code == 1
    assert world.receiver.ledger.keys() == world.receiver.ledger.taken()


def test_an_interrupted_replay_stays_open_and_the_same_words_go_on(dlq: Command, lab: Lab) -> None:
    for _ in range(3):
        dead_evaluation(lab)
    store = lab.database.pool("ops")
    run = replays.begin(store, ALL, 3, 0.1, "local:op", "repaired")
    assert run is not None
    player = _player(lab, run)
    looks = iter([False, False, True])
    assert player.play(lambda: next(looks), lambda _: None).note == "interrupted at 1 of 3"
    others = dlq("dlq", "replay", "--stage", "delivery", *YES)
    assert (others.code, "m10 dlq replay --resume 1 goes on with it, --cancel 1 ends it" in others.err) == (1, True)
    lab.sql.execute("UPDATE public.recovery_candidates SET evaluated_generation = generation WHERE generation = 2")
    gone_on = dlq("dlq", "replay", "--all", *YES, "--patience", "0.2s", "--json")
    assert gone_on.code == 0, gone_on.err
    assert (gone_on.json["id"], gone_on.json["items"]["replayed"]) == (run.id, 3)


def test_no_more_are_replayed_than_the_rate_allows(lab: Lab) -> None:
    for _ in range(3):
        dead_evaluation(lab)
    run = replays.begin(lab.database.pool("ops"), ALL, 3, 0.1, "local:op", "repaired")
    assert run is not None
    all_end = "UPDATE public.recovery_candidates SET evaluated_generation = generation WHERE generation = 2"
    for rate, reached in ((0.01, 1), (1000, 3)):  # the first of a hundred seconds, then all
        looks = iter([False] * 20 + [True] * 2)
        player = _player(lab, run, rate)
        player.play(lambda: next(looks), lambda _: lab.sql.execute(all_end))  # noqa: B023 - called within the round
        assert replays.tally(lab.database.pool("ops"), run.id).replayed == reached


def test_a_replay_that_is_cancelled_is_over(dlq: Command, lab: Lab) -> None:
    for _ in range(3):
        dead_evaluation(lab)
    store = lab.database.pool("ops")
    run = replays.begin(store, ALL, 3, 0.1, "local:op", "repaired")
    assert run is not None
    player = _player(lab, run)
    assert dlq("dlq", "replay", "--cancel", str(run.id)).code == 0
    assert player.play(lambda: False, lambda _: None).state == "cancelled"
    assert len(dlq("dlq", "list").rows) == 3
    assert dlq("dlq", "replay", "--resume", str(run.id)).code == 1


def _player(lab: Lab, run: replays.Run, rate: float = 1000) -> Replayer:
    down = Dependency("redis")
    down.observe("not configured", 0.0)
    client = RedisClient("redis://localhost:1/0", timeout=TTL)
    hints = Hints(StreamProducer(client, NAMES), lab.database.pool("ops"), down, 100)
    return Replayer(lab.database.pool("ops"), hints, run, "me", "local:op", Pace(rate, TTL))


def test_who_has_lost_the_lock_replays_nothing(lab: Lab) -> None:
    dead_evaluation(lab)
    store = lab.database.pool("ops")
    run = replays.begin(store, ALL, 3, 0.1, "local:op", "repaired")
    assert run is not None
    epoch = held(lab)
    locks.release(store, LOCK, "me", epoch)
    held(lab, "another")
    with pytest.raises(LeaseLost):
        replays.replay_items(store, run.id, "me", epoch, "local:op", 10)
    assert lab.value("SELECT state FROM m10_recovery.replay_item") == "waiting"


def test_a_replay_waits_for_another_process_only_so_long(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    dead_evaluation(lab)
    run = replays.begin(lab.database.pool("ops"), ALL, 3, 0.1, "local:op", "repaired")
    assert run is not None
    held(lab, "another")
    player = _player(lab, run)
    monkeypatch.setattr(ops, "TTL", TTL / 1000)
    with pytest.raises(ops.ReplayElsewhere):
        player.play(lambda: False, lambda _: None)


@pytest.mark.parametrize("kind", ["evaluation", "event"])
def test_the_cap_counts_along_the_lineage_whatever_retention_took(lab: Lab, kind: str) -> None:
    number = dead_evaluation(lab) if kind == "evaluation" else dead_event(lab)
    for times in range(2):
        assert [each.refused for each in replayed(lab, cap=2)] == [None]
        assert replayed(lab, cap=2) == []
        if kind == "evaluation":
            lab.bury(lab.value("SELECT candidate_id FROM m10_recovery.dead_letter_archive WHERE id = %s", number))
        else:
            lab.deliver("dead", error="http_400")
        assert lab.value("SELECT replays FROM m10_recovery.dead_letter_archive WHERE id = %s", newest(lab)) == times + 1
        lab.sql.execute("DELETE FROM m10_recovery.replay_log")
    assert replayed(lab, cap=2) == []
    planned = replays.plan(lab.database.pool("ops"), LetterFilter(state="waiting"), 2)
    assert [each.refused for each in planned] == ["capped"]


def test_what_changed_since_the_plan_is_left_out(lab: Lab) -> None:
    first, second = dead_evaluation(lab), dead_event(lab)
    store = lab.database.pool("ops")
    run = replays.begin(store, ALL, 3, 0.1, "local:op", "repaired")
    assert run is not None
    lab.sql.execute(
        """UPDATE public.recovery_candidates SET generation = 2
           WHERE id = (SELECT candidate_id FROM m10_recovery.dead_letter_archive WHERE id = %s)""", [first],
    )  # fmt: skip
    lab.sql.execute("DELETE FROM m10_recovery.dead_letter_archive WHERE id = %s", [second])
    done = replays.replay_items(store, run.id, "me", held(lab), "local:op", 10)
    assert sorted(str(each.refused) for each in done) == ["in_hand", "not_found"]


def test_a_resend_by_number_marks_its_dead_letter_as_replayed(dlq: Command, lab: Lab) -> None:
    number = dead_event(lab)
    event_id = lab.value("SELECT event_id FROM m10_recovery.dead_letter_archive WHERE id = %s", number)
    assert dlq("outbox", "resend", str(event_id)).code == 0
    assert dlq("dlq", "list").rows == []
    assert [row[5] for row in dlq("dlq", "replay", str(number)).rows] == ["were replayed before"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "this is no JSON"),
        ("[]", "expected a JSON object of fields"),
        ('{"candidate_id": null}', "candidate_id: expected text"),
        ("{}", "it has no fields"),
        ('{"x": "1"}', "candidate_id is missing"),
        ('{"candidate_id": "0"}', "candidate_id: expected a number from 1 on"),
        ('{"candidate_id": "1", "message_id": "2:1"}', "message_id: expected <candidate_id>:<generation>"),
        ('{"candidate_id": "1", "metadata": "\\ud800"}', "it is not valid UTF-8"),
        ('{"candidate_id": "404"}', "there is no candidate 404"),
    ],
)
def test_an_edited_entry_that_cannot_be_read_is_refused_with_its_reason(
    dlq: Command, lab: Lab, text: str, why: str
) -> None:
    number = dead_entry(lab, candidate_id="x")
    refused = dlq("dlq", "replay", str(number), "--edit-file", "-", "--why", "typo", stdin=text.encode())
    assert refused.code in (1, 2)
    assert why in refused.err
    assert len(dlq("dlq", "list").rows) == 1


def test_an_edited_entry_is_evaluated_once(dlq: Command, lab: Lab, world: World, tmp_path: Path) -> None:
    candidate, number = lab.open(), dead_entry(lab, candidate_id="x")
    editor = tmp_path / "editor"
    editor.write_text(f'#!/bin/sh\necho \'{{"candidate_id": "{candidate}"}}\' > "$1"\n')
    editor.chmod(0o700)
    with running(world):
        done = dlq("dlq", "replay", str(number), "--edit", "--why", "typo", EDITOR=str(editor), PATH="/usr/bin:/bin")
        assert done.code == 0, done.err
        eventually(lambda: not lab.is_due(candidate))
    again = dlq("dlq", "replay", str(number), "--edit", "--why", "typo", EDITOR=str(editor), PATH="/usr/bin:/bin")
    assert (again.code, again.err) == (1, f"m10: dead letter {number} was replayed before\n")
    other = dead_entry(lab, candidate_id="y")
    settled = dlq("dlq", "replay", str(other), "--edit", "--why", "typo", EDITOR=str(editor), PATH="/usr/bin:/bin")
    assert "is settled: its candidate was evaluated meanwhile" in settled.err
    assert lab.row(candidate).generation == 1


def test_a_purge_deletes_what_was_replayed_and_has_ended_and_keeps_who_did_it(dlq: Command, lab: Lab) -> None:
    ended, _ = dead_evaluation(lab), dead_evaluation(lab)
    replayed(lab)
    waiting = dead_evaluation(lab)
    lab.sql.execute(
        """UPDATE public.recovery_candidates SET evaluated_generation = generation
           WHERE id = (SELECT candidate_id FROM m10_recovery.dead_letter_archive WHERE id = %s)""", [ended],
    )  # fmt: skip
    planned = dlq("dlq", "purge", "--all")
    assert (planned.code, planned.err) == (0, "1 would be deleted; nothing was: --yes --why TEXT\n")
    assert lab.value("SELECT count(*) FROM m10_recovery.dead_letter_archive") == 3
    purged = dlq("dlq", "purge", "--all", *YES)
    assert (purged.code, purged.err) == (0, "1 deleted\n")
    assert lab.sql.execute("SELECT id FROM m10_recovery.dead_letter_archive WHERE id = %s", [ended]).fetchall() == []
    assert lab.sql.execute("SELECT purged, why FROM m10_recovery.dead_letter_purge").fetchall() == [(1, "repaired")]
    named = dlq("dlq", "purge", str(waiting), "--state", "waiting", *YES, "--json").json
    assert (named["found"], named["purged"]) == (1, 1)


def test_kill_9_in_between_and_yet_each_is_decided_or_delivered_exactly_once_more(tmp_path: Path) -> None:
    result = campaign.run(tmp_path, count=200, kills=1, seed=1)
    assert result.sound, result
