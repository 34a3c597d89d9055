"""The reconciling job: archive, dead-letter stream and pending entries list come together."""

import threading
from collections.abc import Mapping

import pipeline_kit
import pytest
from metrics_kit import Moved
from pipeline_kit import NAMES, World
from schema_kit import Lab

from m10actors.application.jobs import jobs
from m10actors.postgres import purges, replays
from m10actors.postgres.dead_letters import LetterFilter
from m10actors.recovery import graves

world = pipeline_kit.world


@pytest.fixture
def lab(world: World) -> Lab:
    return Lab(world.database)


def reconcile(world: World) -> Mapping[str, int]:
    parts = pipeline_kit.parts_of(world)
    parts.open()
    try:
        return jobs(parts)["dead_letter_reconcile"].run(threading.Event())
    finally:
        pipeline_kit.close(parts)


def pending(world: World, *entries: Mapping[str, str]) -> list[bytes]:
    """Entries that a consumer has and never acknowledges; their ids."""
    ids = [world.raw.xadd(NAMES.stream, dict(each)) for each in entries]
    world.raw.xreadgroup(NAMES.group, "dead", {NAMES.stream: ">"})
    return ids


def message(candidate: int, generation: int) -> dict[str, str]:
    return {"candidate_id": str(candidate), "message_id": f"{candidate}:{generation}"}


def copy(world: World, dl_msg_id: str) -> None:
    world.raw.xadd(NAMES.dead_letter, {"dl_msg_id": dl_msg_id, "reason": "poison"})


def buried(lab: Lab) -> tuple[int, str]:
    [dl_msg_id] = lab.bury(candidate := lab.open())
    return candidate, dl_msg_id


def replay_all(lab: Lab) -> None:
    store = lab.database.pool("ops")
    run = replays.begin(store, LetterFilter(), 3, 0.1, "local:op", "repaired")
    assert run is not None
    epoch = lab.value("SELECT m10_recovery.acquire_lease('dlq_replay', 'me', '1 min')")
    replays.replay_items(store, run.id, "me", epoch, "local:op", 100)


def test_an_entry_that_is_pending_and_a_dead_letter_is_acknowledged_and_no_other(world: World, lab: Lab) -> None:
    reconcile(world)  # gives the stream's data its name
    incarnation = world.raw.get(NAMES.incarnation).decode()
    dead, _ = buried(lab)
    alive = lab.open()
    ids = pending(world, message(dead, 1), message(alive, 1), {"candidate_id": str(dead)}, {"x": "1"}, {"y": "1"})
    name = graves.malformed_entry(incarnation, ids[3].decode())
    lab.value("SELECT m10_recovery.archive_dead_letter(%s, NULL, NULL, NULL, '{}', 'missing_candidate_id')", name)
    assert reconcile(world)["pending_and_dead"] == 2
    assert [entry_id for entry_id, _ in world.raw.xrange(NAMES.stream)] == [ids[1], ids[2], ids[4]]
    assert world.raw.xpending(NAMES.stream, NAMES.group)["pending"] == 3
    assert reconcile(world)["pending_and_dead"] == 0


def test_a_copy_leaves_the_stream_when_its_dead_letter_was_replayed_and_the_replay_is_counted(
    world: World, lab: Lab
) -> None:
    _, first = buried(lab)
    copy(world, first)
    assert reconcile(world) == {
        "archived": 0, "kept": 1, "settled": 0, "replayed": 0, "pending_and_dead": 0, "without_copy": 0,
    }  # fmt: skip
    replay_all(lab)
    moved = Moved()
    assert reconcile(world)["settled"] == 1
    moved.wait_for("recovery_dead_letter_replayed_total", 1)
    assert world.raw.xlen(NAMES.dead_letter) == 0
    assert reconcile(world)["replayed"] == 0


def test_a_purged_dead_letter_does_not_come_back_from_the_stream(world: World, lab: Lab) -> None:
    _, first = buried(lab)
    copy(world, first)
    assert purges.purge(lab.database.pool("ops"), LetterFilter(), "local:op", "old") == 1
    assert reconcile(world)["settled"] == 1
    assert lab.value("SELECT count(*) FROM m10_recovery.dead_letter_archive") == 0
    assert world.raw.xlen(NAMES.dead_letter) == 0
    assert lab.value("SELECT count(*) FROM m10_recovery.dead_letter_gone") == 0


def test_what_retention_deleted_does_not_come_back_from_the_stream(world: World, lab: Lab) -> None:
    _, first = buried(lab)
    copy(world, first)
    lab.sql.execute("UPDATE m10_recovery.dead_letter_archive SET archived_at = now() - interval '1 year'")
    parts = pipeline_kit.parts_of(world)
    parts.open()
    jobs(parts)["retention"].run(threading.Event())
    pipeline_kit.close(parts)
    reconcile(world)
    assert lab.value("SELECT count(*) FROM m10_recovery.dead_letter_archive") == 0
    assert world.raw.xlen(NAMES.dead_letter) == 0


def test_what_is_only_in_the_stream_is_archived_and_what_is_only_in_the_archive_is_counted(
    world: World, lab: Lab
) -> None:
    buried(lab)
    world.raw.xadd(NAMES.dead_letter, {"reason": "theirs", "x": "1"})
    found = reconcile(world)
    assert (found["archived"], found["without_copy"]) == (1, 1)
    assert lab.value("SELECT stage FROM m10_recovery.dead_letter_archive WHERE reason = 'theirs'") == "entry"
    assert reconcile(world)["kept"] == 1
