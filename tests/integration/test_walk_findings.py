"""What a walk through the code with fresh eyes found: each of these failed before."""

import threading
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pipeline_kit
import pytest
from pipeline_kit import World, parts_of, running
from supervisor_kit import Journal, child, root
from supervisor_kit import running as tree_of

from m10actors.actors.messages import STREAM_READER, Demand, Entries
from m10actors.actors.stream_reader import StreamReader
from m10actors.application.jobs import jobs
from m10actors.postgres import evaluations
from m10actors.postgres.errors import StoreRefused
from m10actors.streams import DeadLetterStream
from m10actors.supervision import Actor, ChildSpec, Link
from m10actors.testing.waiting import eventually

world = pipeline_kit.world


class Greedy(Actor):
    """A claim worker that finishes nothing and always wants more."""

    def __init__(self, link: Link, given: list[Entries]) -> None:
        super().__init__(link)
        self._given = given

    def on_message(self, message: object) -> None:
        assert isinstance(message, Entries)
        self._given.append(message)
        dealt_with = frozenset(entry.entry_id for entry in message.entries)
        self.tell_child(STREAM_READER, Demand(self.child_id, 2, dealt_with))


def test_entries_that_stay_pending_on_purpose_do_not_keep_new_ones_from_being_read(world: World) -> None:
    parts, given = parts_of(world), list[Entries]()
    queue = parts.queue()
    queue.ensure_group()
    for candidate in range(1, 6):
        parts.redis_client.call("XADD", parts.names.stream, "*", "candidate_id", candidate)
    assert len(queue.read(10, timedelta(seconds=1))) == 5  # a predecessor's, never finished
    for candidate in range(6, 9):
        parts.redis_client.call("XADD", parts.names.stream, "*", "candidate_id", candidate)

    def reader(link: Link) -> Any:
        return StreamReader.start(link, parts.queue(), parts.redis, timedelta(seconds=1), 10, timedelta(hours=1), 1)

    specs = [ChildSpec(STREAM_READER, reader), ChildSpec("claim_worker.1", lambda link: Greedy.start(link, given))]
    with tree_of(root(*specs)) as tree:
        tree.tell(STREAM_READER, Demand("claim_worker.1", 2, fresh=True))
        eventually(lambda: sum(len(each.entries) for each in given if not each.retaken) == 3)
        retaken = [entry.candidate_id for each in given if each.retaken for entry in each.entries]
        assert sorted(retaken) == [1, 2, 3, 4, 5]
    queue.close()
    pipeline_kit.close(parts)


def test_a_statement_that_the_schema_does_not_know_gives_nothing_up(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, refused = evaluations.apply, threading.Event()

    def apply(*given: Any) -> Sequence[evaluations.Applied]:
        if not refused.is_set():
            refused.set()
            raise StoreRefused("function m10_recovery.apply_evaluations does not exist", "42883")
        return real(*given)

    monkeypatch.setattr(evaluations, "apply", apply)
    with running(world) as engine:
        engine.ingest(range(3))
        world.settled(3)
        assert refused.is_set()
        assert world.dead_letters() == []
        assert not any(engine.restarts().values())


def test_the_members_of_a_pool_are_asked_to_end_all_at_once() -> None:
    together = threading.Barrier(3, timeout=5)
    journal = Journal()
    members = [child(journal, name, {"end": lambda _: together.wait()}, shutdown=8.0) for name in ("a", "b", "c")]
    with tree_of(root(*members, stop_together=True)) as tree:
        tree.stop()
        assert tree.abandoned == 0
    assert not together.broken


def test_malformed_dead_letters_of_others_are_archived_once_and_do_not_stop_the_job(world: World) -> None:
    parts = parts_of(world)
    parts.open()
    names, values = (b"dl_msg_id", b"dl_msg_id", b"reason", b"reason"), (b"a\x00b", b"x" * 5000, b"\xff", b"theirs")
    for name, value in zip(names, values, strict=True):
        parts.redis_client.call("XADD", parts.names.dead_letter, "*", name, value)
    job = jobs(parts)["dead_letter_reconcile"]
    assert job.run(threading.Event())["archived"] == 4
    again = job.run(threading.Event())
    assert (again["archived"], again["kept"]) == (0, 4)
    assert len(world.dead_letters()) == 4
    assert len(DeadLetterStream(parts.redis_client, parts.names).page(10)) == 4
    pipeline_kit.close(parts)


def test_a_lock_that_was_released_is_seen_as_not_held(world: World) -> None:
    world.sql("SELECT m10_recovery.acquire_lock('theirs', 'me', 60)")
    assert world.sql("SELECT active FROM m10_recovery.metrics_locks WHERE lock_name = 'theirs'") == [(True,)]
    world.sql("SELECT m10_recovery.release_lock('theirs', 'me')")
    assert world.sql("SELECT active FROM m10_recovery.metrics_locks WHERE lock_name = 'theirs'") == [(False,)]
