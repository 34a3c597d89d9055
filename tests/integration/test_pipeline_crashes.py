"""Each actor crashes under load. What heals it is its restart: every poll is an hour away, and every lease is long."""

import itertools
import threading
from collections.abc import Iterator
from typing import Any

import pipeline_kit
import pytest
from pipeline_kit import World, feed, running

from m10actors import evaluation
from m10actors.delivery import Deliverer
from m10actors.postgres import inputs
from m10actors.postgres.errors import StoreUnavailable
from m10actors.streams import StreamQueue
from m10actors.testing.failpoints import armed
from m10actors.testing.receiver import Answer
from m10actors.testing.waiting import eventually

world = pipeline_kit.world
COUNT = 120

MAY_SEND_TWICE = ("outbox_leader", "delivery_workers")
"""With them, attempts that are on their way lose their outcome: the receiver sees the same key once more."""

ACTORS = (
    "postgres_monitor",
    "redis_monitor",
    "metrics_collector",
    "outbox_leader",
    "delivery_worker.1",
    "dead_letter_router",
    "stream_reader",
    "reclaimer",
    "evaluator_dispatcher",
    "evaluator_worker.1",
    "claim_worker.1",
    "scheduler",
    "job_runner",
)


@pytest.mark.parametrize("actor", ACTORS)
def test_nothing_is_lost_or_done_twice_when_an_actor_crashes_again_and_again_under_load(
    world: World, actor: str
) -> None:
    with running(world, intake__batch_size=4, intake__claim_workers=2, outbox__max_concurrent_http=2) as engine:
        feeder = feed(engine, COUNT)
        for _ in range(3):
            engine.crash(actor)
        feeder.join(20)
        world.sound(COUNT, twice_allowed=actor in MAY_SEND_TWICE)
        world.stream_is_empty()
        assert engine.restarts()[actor] == 3


@pytest.mark.parametrize("moment", ["eval.after_read", "eval.after_decision", "eval.after_commit", "eval.before_ack"])
def test_what_a_claim_worker_had_in_hand_is_handed_out_again_at_once(world: World, moment: str) -> None:
    with running(world, intake__batch_size=10, intake__claim_workers=1, intake__spare_workers=0) as engine:
        engine.ingest([0])
        world.settled(1)
        with armed(f"{moment}:raise:RuntimeError"):
            engine.ingest(range(1, 40))
            world.sound(40)
        world.stream_is_empty()
        assert engine.restarts()["claim_worker.1"] == 1


@pytest.mark.parametrize("moment", ["eval.after_read", "eval.after_commit"])
def test_what_a_claim_worker_had_taken_from_the_tables_is_free_again_at_once(world: World, moment: str) -> None:
    with running(world, intake__claim_workers=1, intake__spare_workers=0) as engine:
        engine.ingest([0])
        world.settled(1)
        ids = world.upsert(20)
        world.sql("SELECT m10_recovery.enqueue_work(id) FROM unnest(%s::bigint[]) AS id", ids[:10])
        with armed(f"{moment}:raise:RuntimeError"):
            engine.parts.redis.lost_state()
            world.settled(21)
        stores = world.stores()
        assert (stores.dead, stores.evaluated_twice, stores.published_twice) == (0, 0, 0)
        open_works = "SELECT count(*) FROM m10_recovery.work_queue WHERE processed_at IS NULL"
        eventually(lambda: world.sql(open_works) == [(0,)])  # its own statement, where another had evaluated it
        assert engine.restarts()["claim_worker.1"] == 1


def test_what_a_stream_reader_had_read_when_it_crashed_is_found_by_its_successor(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    crashes = itertools.count(1)
    real = StreamQueue.read

    def read(queue: StreamQueue, *given: Any) -> Any:
        entries = real(queue, *given)
        if entries and next(crashes) <= 2:
            raise RuntimeError("between the reply and the workers")
        return entries

    monkeypatch.setattr(StreamQueue, "read", read)
    with running(world) as engine:
        for number in range(4):
            engine.ingest([number])
        world.sound(4)
        world.stream_is_empty()
        assert engine.restarts()["stream_reader"] == 2


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """The first evaluation waits for it."""
    gate, first = threading.Event(), itertools.count()
    real = evaluation.__dict__["by_rules"]

    def decide(*given: Any) -> Any:
        if next(first) == 0:
            gate.wait(30)
        return real(*given)

    monkeypatch.setattr(evaluation, "by_rules", decide)
    yield gate
    gate.set()


def test_what_is_in_the_hands_of_workers_when_their_reader_crashes_is_done_once(
    world: World, gate: threading.Event
) -> None:
    with running(world, intake__claim_workers=1, intake__spare_workers=0) as engine:
        engine.ingest(range(5))
        eventually(lambda: engine.doing("claim_worker.1").startswith("evaluating"))
        for _ in range(3):
            engine.crash("stream_reader")
        engine.ingest(range(5, 10))
        gate.set()
        world.sound(10)
        world.stream_is_empty()


def test_a_worker_that_is_stuck_is_replaced_and_its_late_result_changes_nothing(
    world: World, gate: threading.Event
) -> None:
    """T108, T109: alive, and deaf."""
    stuck = {"tree__claim_worker__stall_after": "1s", "tree__claim_worker__shutdown": "50ms"}
    with running(world, abandoned=1, intake__claim_workers=1, intake__spare_workers=0, **stuck) as engine:
        engine.ingest(range(5))
        world.sound(5)
        assert engine.restarts()["claim_worker.1"] == 1
        gate.set()
        eventually(lambda: not any("abandoned" in thread.name for thread in threading.enumerate()))
        world.sound(5)
        world.stream_is_empty()


def test_restarts_of_workers_spend_no_attempts(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """T14: ten crashes with the same entries in hand, which PostgreSQL does not let the worker begin meanwhile."""
    away, real = threading.Event(), inputs.read

    def read(*given: Any) -> Any:
        if away.is_set():
            raise StoreUnavailable("away")
        return real(*given)

    monkeypatch.setattr(inputs, "read", read)
    with running(world) as engine:
        engine.ingest([0])
        world.settled(1)
    with running(world, intake__claim_workers=1, intake__spare_workers=0) as engine:
        away.set()
        engine.ingest(range(1, 6))
        eventually(lambda: engine.doing("claim_worker.1").startswith("evaluating"))
        for _ in range(10):
            engine.crash("claim_worker.1")
        away.clear()
        world.sound(6)
        world.stream_is_empty()


def test_a_leader_that_crashed_with_events_in_hand_has_a_new_epoch_and_delivers_them_at_once(world: World) -> None:
    tokens: list[int | None] = []
    world.receiver.on_delivery = lambda request, _: tokens.append(request.token)
    with running(world, outbox__lock_ttl="1h", outbox__claim_takeover="1h") as engine:
        with armed("outbox.after_claim:raise:RuntimeError"):
            engine.ingest(range(10))
            world.sound(10)
        assert set(tokens) == {2}
        assert engine.restarts()["outbox_leader"] == 1


@pytest.mark.parametrize("moment", ["outbox.before_complete", "outbox.after_complete"])
def test_a_leader_that_crashes_around_a_completion_loses_nothing(world: World, moment: str) -> None:
    polled = {"outbox__poll_interval": "20ms"}  # what was held back when it crashed is found by a poll
    with running(world, outbox__lock_ttl="1h", outbox__claim_takeover="1h", **polled) as engine:
        with armed(f"{moment}:raise:RuntimeError"):
            engine.ingest(range(10))
            world.sound(10, twice_allowed=True)
        eventually(lambda: engine.restarts()["outbox_leader"] == 1)


def test_an_attempt_that_crashed_its_worker_may_have_arrived_and_counts(world: World) -> None:
    with running(world) as engine:
        with armed("outbox.after_response:raise:RuntimeError"):
            engine.ingest([1])
            world.sound(1, twice_allowed=True)
        assert world.sql("SELECT retry_count, last_error FROM m10_recovery.outbox") == [
            (1, "the delivery worker crashed during the attempt")
        ]
        assert len(world.receiver.ledger.repeated()) == 1
        assert sum(restarts for name, restarts in engine.restarts().items() if name.startswith("delivery_worker.")) == 1


def test_an_event_that_crashes_every_worker_is_a_dead_letter_and_the_others_are_delivered(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Deliverer.deliver_together

    def deliver(deliverer: Deliverer, given: Any, epoch: int) -> Any:
        if any(b"POISON" in event.payload for event in given):
            raise RecursionError
        return real(deliverer, given, epoch)

    monkeypatch.setattr(Deliverer, "deliver_together", deliver)
    with running(world, outbox__poll_interval="10ms") as engine:  # a poll finds the retries
        engine.ingest([1], code="TIMEOUT_POISON")
        engine.ingest(range(2, 12))
        eventually(lambda: world.stores().delivered == 10 and world.stores().dead == 1)
        [(reason, _, attempts, _)] = world.dead_letters()
        assert (reason, attempts) == ("the delivery worker crashed during the attempt", 6)
        assert engine.restarts()["outbox_leader"] == 0


def test_an_outcome_that_postgres_refuses_does_not_hold_up_the_others(world: World) -> None:
    """Neither a crash of the leader nor a loop: it is written without what it says, here without the answer."""
    world.sql(
        "CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION 'refused' USING ERRCODE = '22000'; END $$"
    )
    with running(world) as engine:
        [odd] = engine.parts.ingest.accept([pipeline_kit.failure(1)], "test")
        world.settled(1)
        world.sql(
            "CREATE TRIGGER refuse BEFORE UPDATE ON public.recovery_candidates FOR EACH ROW"
            " WHEN (NEW.execution_result ? 'answer' AND NEW.error_message LIKE '%odd%') EXECUTE FUNCTION refuse()"
        )
        refused = engine.ingest([2], note="odd")
        engine.ingest(range(3, 10))
        world.sound(9)
        rows = dict(world.sql("SELECT id, execution_result FROM public.recovery_candidates"))
        assert rows[refused[0]] == {}
        assert rows[odd.candidate_id] == {"status": 200, "answer": ""}
        assert engine.restarts()["outbox_leader"] == 0


def test_an_event_whose_claim_ran_out_while_it_waited_its_turn_is_sent_once(world: World) -> None:
    """T83: more in hand than the workers get through before a claim may be taken over."""
    world.receiver.answer = lambda _: Answer(delay=0.05)
    quick: dict[str, Any] = {
        "outbox__claim_takeover": "300ms",
        "outbox__http_timeout": "290ms",
        "outbox__poll_interval": "10ms",
    }
    with running(world, outbox__max_concurrent_http=2, **quick) as engine:
        engine.ingest(range(30))
        world.sound(30)
