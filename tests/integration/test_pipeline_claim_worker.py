"""A claim worker by itself: the real one on real stores, with its siblings played."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from types import SimpleNamespace
from typing import Any

import pipeline_kit
import pytest
from pipeline_kit import NAMES, World, failure, parts_of
from supervisor_kit import root, states
from supervisor_kit import running as tree_of

from m10actors import evaluation
from m10actors.actors import attempts, claim_worker
from m10actors.actors.claim_worker import ClaimWorker
from m10actors.actors.messages import Demand, Entries, GiveUp, Tick, Wake
from m10actors.actors.outage import Outage
from m10actors.actors.tables import Tables
from m10actors.application import Parts
from m10actors.evaluation import Evaluated, Evaluation, Work
from m10actors.postgres import evaluations, inputs
from m10actors.postgres.errors import DataRefused, StoreUnavailable
from m10actors.postgres.pool import Database
from m10actors.recovery import decision
from m10actors.recovery.facts import Facts
from m10actors.streams import Entry
from m10actors.supervision import Actor, ChildSpec, Link
from m10actors.supervisor import Tree
from m10actors.testing.waiting import eventually

world = pipeline_kit.world
LEASE = timedelta(hours=1)
PACE = claim_worker.Pace(batch_size=2, batch_max=10, lease=LEASE, poll=LEASE, sweep_after=LEASE, max_attempts=3)


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claim_worker, "Outage", partial(Outage, longest=0.02))


class Sibling(Actor):
    """Keeps what it is told."""

    def __init__(self, link: Link, told: list[Any]) -> None:
        super().__init__(link)
        self._told = told

    def on_message(self, message: object) -> None:
        self._told.append(message)


class Weather(Evaluation):
    """The real evaluator, for which PostgreSQL is away as often as it is told."""

    away = 0
    at_each_try: Callable[[], None] = staticmethod(lambda: None)

    def evaluate(self, batch: Sequence[Work], source: str, beat: Callable[[], None] = lambda: None) -> Evaluated:
        if batch:
            Weather.at_each_try()
        if batch and Weather.away:
            Weather.away -= 1
            raise StoreUnavailable("away")
        return super().evaluate(batch, source, beat)


@dataclass
class Alone:
    """One claim worker and what it told its siblings."""

    world: World
    parts: Parts
    tree: Tree
    told: dict[str, list[Any]] = field(default_factory=dict)

    def give(self, *entries: Entry, retaken: bool = False) -> None:
        assert self.tree.tell("claim_worker.1", Entries(entries, retaken))

    def demands(self) -> list[Demand]:
        return self.told["stream_reader"]

    def given_up(self) -> list[GiveUp]:
        return self.told["dead_letter_router"]

    def asks_after(self, *entries: Entry) -> Demand:
        """Its next demand that has dealt with these."""
        ids = {entry.entry_id for entry in entries}
        return eventually(lambda: [d for d in self.demands() if ids <= d.dealt_with])[0]

    def open(self, count: int, first: int = 1, **fields: Any) -> list[int]:
        """Reports failures without any hint; the ids of their candidates."""
        made = [failure(number, **fields) for number in range(first, first + count)]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(type(self.parts.hints), "send", lambda *_: None)
            return [receipt.candidate_id for receipt in self.parts.ingest.accept(made, "test")]

    def claims(self) -> dict[int, tuple[int, bool]]:
        """Attempts at each candidate, and whether somebody has it in hand."""
        rows = self.world.sql(
            "SELECT candidate_id, attempts, claimed_until > clock_timestamp() FROM m10_recovery.evaluation_claim"
        )
        return {row[0]: (row[1], row[2]) for row in rows}

    def evaluated(self) -> int:
        return self.world.stores().evaluated

    def restarts(self) -> int:
        return states(self.tree)["claim_worker.1"].restarts


@contextmanager
def alone(world: World, pace: claim_worker.Pace = PACE, number: int = 1, spare: bool = False) -> Iterator[Alone]:
    parts = parts_of(world)
    told: dict[str, list[Any]] = {
        name: [] for name in ("stream_reader", "reclaimer", "dead_letter_router", "outbox_leader")
    }
    siblings = [ChildSpec(name, start=partial(Sibling.start, told=seen)) for name, seen in told.items()]
    worker = ChildSpec(
        f"claim_worker.{number}",
        start=lambda link: ClaimWorker.start(
            link, parts.worker, parts.app, parts.queue(), parts.monitor, parts.hints, parts.redis,
            lambda name: Weather(parts.app, name, parts.live.rules), pace, spare=spare,
        ),
    )  # fmt: skip
    parts.open()
    parts.queue().ensure_group()
    try:
        with tree_of(root(*siblings, worker)) as tree:
            made = Alone(world, parts, tree, told)
            eventually(made.demands)
            yield made
    finally:
        Weather.away, Weather.at_each_try = 0, lambda: None
        pipeline_kit.close(parts)


def entry(candidate_id: int, generation: int | None = 1, number: int = 0) -> Entry:
    return Entry(b"%d-%d" % (candidate_id, number), candidate_id, generation, {})


def test_a_batch_that_was_full_is_followed_by_a_demand_for_twice_as_many_and_an_empty_one_by_half(world: World) -> None:
    with alone(world) as worker:
        assert worker.demands()[0].want == 2
        wants = []
        for size, number in ((2, 0), (4, 1), (8, 2), (10, 3), (3, 4), (5, 5), (1, 6), (1, 7)):
            batch = [Entry(b"%d-%d" % (number, n), 10_000 + n, 1, {}) for n in range(size)]
            worker.give(*batch)
            wants.append(worker.asks_after(*batch).want)
        assert wants == [4, 8, 10, 10, 5, 10, 5, 2]


def test_each_demand_says_what_was_dealt_with_since_the_one_before_and_only_the_first_is_fresh(world: World) -> None:
    with alone(world) as worker:
        worker.give(entry(1), entry(2))
        worker.give(entry(3))
        worker.asks_after(entry(3))
        assert [d.fresh for d in worker.demands()[:1]] == [True]
        assert not any(d.fresh for d in worker.demands()[1:])
        dealt = [d.dealt_with for d in worker.demands() if d.dealt_with]
        assert dealt == [{b"1-0", b"2-0"}, {b"3-0"}]
        eventually(lambda: worker.told["reclaimer"] == worker.demands())


def test_a_demand_is_repeated_for_a_source_that_has_forgotten_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claim_worker, "ASK_AGAIN_SECONDS", 0.01)
    with alone(world) as worker:
        eventually(lambda: len(worker.demands()) > 3)
        monkeypatch.setattr(Tables, "are_due", True)  # as long as a full Redis takes nothing
        before = len(worker.demands())
        eventually(lambda: len(worker.demands()) > before + 3)


def test_a_poll_that_finds_nothing_is_no_reason_to_ask_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else it fills the mailbox of a source that is slow."""
    monkeypatch.setattr(claim_worker, "ASK_AGAIN_SECONDS", 3600.0)
    with alone(world) as worker:
        for _ in range(20):
            assert worker.tree.tell("claim_worker.1", Tick("poll"))
        worker.give(entry(1))
        worker.asks_after(entry(1))
        assert len(worker.demands()) == 2


def test_while_postgres_is_away_nothing_is_asked_for_and_what_is_in_hand_stays_there(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claim_worker, "ASK_AGAIN_SECONDS", 0.001)
    with alone(world) as worker:
        ids = worker.open(2)
        asked: list[int] = []
        Weather.away = 3
        Weather.at_each_try = lambda: asked.append(len(worker.demands()))
        worker.give(*map(entry, ids))
        worker.asks_after(*map(entry, ids))
        assert worker.evaluated() == 2
        assert worker.restarts() == 0
        assert asked[3] <= asked[0] + 2, "it asked for more during the outage"


def test_an_attempt_that_an_outage_cut_short_is_not_counted_again(world: World) -> None:
    with alone(world) as worker:
        [candidate] = worker.open(1)
        Weather.away = 10
        worker.give(entry(candidate), retaken=True)
        eventually(lambda: worker.claims().get(candidate))
        assert eventually(lambda: Weather.away < 3 and worker.claims()[candidate]) == (1, True)
        worker.asks_after(entry(candidate))
        assert worker.evaluated() == 1
        assert worker.given_up() == []


@pytest.mark.parametrize("source", ["fallback", "sweep"])
def test_what_was_taken_from_the_tables_before_an_outage_is_done_right_after_it(world: World, source: str) -> None:
    """Not when its lease has run out."""
    with alone(world) as worker:
        ids = worker.open(3)
        if source == "fallback":
            worker.parts.app.rows("enqueue_works", {"candidate_ids": ids})
        else:
            worker.parts.redis.lost_state()
        Weather.away = 5
        worker.give(entry(99_999))
        eventually(lambda: worker.evaluated() == 3)
        assert Weather.away == 0
        assert world.sql("SELECT count(*) FROM m10_recovery.evaluation_claim") == [(0,)]
        assert world.sql("SELECT count(*) FROM m10_recovery.work_queue WHERE processed_at IS NULL") == [(0,)]


def test_what_a_lost_reply_claimed_for_it_is_free_again_after_the_outage(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    with alone(world) as worker:
        ids = worker.open(3)
        real, lost = evaluations.claim_overdue, threading.Event()

        def claim_and_lose_the_reply(*given: Any) -> Any:
            taken = real(*given)
            if taken and not lost.is_set():
                lost.set()
                raise StoreUnavailable("the connection broke")
            return taken

        monkeypatch.setattr(evaluations, "claim_overdue", claim_and_lose_the_reply)
        worker.parts.redis.lost_state()
        worker.give(entry(99_999))
        eventually(lambda: worker.evaluated() == len(ids))
        assert lost.is_set()


def test_of_what_was_begun_before_the_tables_give_one_at_a_time_and_all_is_done_at_once(world: World) -> None:
    """Not one per poll."""
    with alone(world) as worker:
        ids = worker.open(5)
        evaluations.begin_attempts(worker.parts.app, "dead", [(candidate, 1) for candidate in ids], LEASE)
        evaluations.take_over(worker.parts.app, ["dead"])
        worker.parts.redis.lost_state()
        worker.give(entry(99_999))
        eventually(lambda: worker.evaluated() == 5)


def raising_for(code: str) -> Callable[..., decision.Decision]:
    def decide(facts: Facts, *others: Any) -> decision.Decision:
        if facts.candidate.error_code == code:
            raise LookupError(facts.candidate.error_message)
        return decision.by_rules(facts, *others)

    return decide


def test_an_evaluator_that_raises_on_one_item_costs_that_item_alone(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluation, "by_rules", raising_for("POISON"))
    with alone(world) as worker:
        ids = worker.open(3)
        [poison] = worker.open(1, first=4, code="POISON")
        batch = [entry(candidate) for candidate in (ids[0], poison, *ids[1:])]
        worker.give(*batch)
        worker.asks_after(*batch)
        assert worker.evaluated() == 3
        assert worker.given_up() == [], "its first attempt is not its last"
        assert worker.restarts() == 0
        assert Wake() in worker.told["outbox_leader"][1:]


def test_at_the_last_attempt_that_fails_it_is_given_up_with_the_evaluators_reason(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluation, "by_rules", raising_for("POISON"))
    with alone(world) as worker:
        [poison] = worker.open(1, code="POISON")
        for number in (1, 2, 3):
            evaluations.take_over(worker.parts.app, [f"{worker.parts.worker}/claim_worker.1"])  # its lease ends
            assert worker.given_up() == []
            worker.give(entry(poison, number=number), retaken=True)
            worker.asks_after(entry(poison, number=number))
        [letter] = eventually(worker.given_up)
        assert (letter.reason, letter.attempts) == ("evaluator_failed: LookupError", 3)
        assert letter.claimed_by == f"{worker.parts.worker}/claim_worker.1"


def unreadable(monkeypatch: pytest.MonkeyPatch, world: World, candidate: int) -> None:
    """T113: a row by another program that Python cannot hold."""
    real = inputs.read

    def read(database: Database, ids: Sequence[int]) -> Any:
        if candidate in ids:
            raise DataRefused("cannot be read")
        return real(database, ids)

    monkeypatch.setattr(inputs, "read", read)


def unwritable(monkeypatch: pytest.MonkeyPatch, world: World, candidate: int) -> None:
    """What an administrator has forbidden."""
    world.refuse("public.recovery_candidates", f"NEW.suggestion <> '' AND NEW.id = {candidate}")


@pytest.mark.parametrize("way", ["stream", "retaken", "sweep"])
@pytest.mark.parametrize("poison", [unreadable, unwritable])
def test_a_candidate_that_is_refused_is_given_up_and_its_batch_goes_on(
    world: World, monkeypatch: pytest.MonkeyPatch, poison: Callable[..., None], way: str
) -> None:
    """On each way, and without a crash."""
    with alone(world) as worker:
        ids = worker.open(3)
        poison(monkeypatch, world, ids[1])
        match way:
            case "sweep":
                worker.parts.redis.lost_state()
                worker.give(entry(99_999))
            case _:
                worker.give(*map(entry, ids), retaken=way == "retaken")
        [letter] = eventually(worker.given_up)
        assert (letter.candidate_id, letter.generation) == (ids[1], 1)
        assert letter.reason.startswith("store_refused")
        eventually(lambda: worker.evaluated() == 2)
        assert worker.restarts() == 0


def test_an_entry_without_a_row_or_from_the_future_stays_pending_and_one_that_is_done_is_acknowledged(
    world: World,
) -> None:
    """T2: the commit may be on its way."""
    with alone(world) as worker:
        [candidate] = worker.open(1)
        kinds = [(candidate, 1), (candidate, 1), (candidate, None), (candidate, 9), (777, 1), (777, None)]
        for candidate_id, generation in kinds:
            fields: dict[Any, Any] = {"candidate_id": candidate_id}
            if generation is not None:
                fields["message_id"] = f"{candidate_id}:{generation}"
            world.raw.xadd(NAMES.stream, fields)
        queue = worker.parts.queue()
        entries = [each for each in queue.read(10, timedelta(milliseconds=10)) if isinstance(each, Entry)]
        queue.close()
        worker.give(*entries)
        worker.asks_after(*entries)
        left = [(row[b"candidate_id"], row.get(b"message_id")) for _, row in world.raw.xrange(NAMES.stream)]
        future = str(candidate).encode()
        assert left == [(future, future + b":9"), (b"777", b"777:1"), (b"777", None)]
        assert world.stream() == (3, 3)


def test_publishing_wakes_the_leader_and_nothing_else_does(world: World) -> None:
    with alone(world) as worker:
        published, quiet = worker.open(1), worker.open(1, first=2, code="PARSE_ERROR")
        begun = [Wake()]  # a predecessor may have published something
        worker.give(entry(quiet[0]))
        worker.asks_after(entry(quiet[0]))
        assert worker.told["outbox_leader"] == begun
        worker.give(entry(published[0]))
        worker.asks_after(entry(published[0]))
        eventually(lambda: worker.told["outbox_leader"] == [*begun, Wake()])


def test_only_the_first_worker_asks_the_tables_at_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What killed the process lies first in them: nothing that another had just begun must be charged with it."""
    looked = threading.Event()
    real = evaluations.claim_overdue

    def claim_overdue(*given: Any) -> Any:
        looked.set()
        return real(*given)

    monkeypatch.setattr(evaluations, "claim_overdue", claim_overdue)
    with alone(world, number=2) as worker:
        assert worker.demands()[0].fresh
        assert not looked.is_set()
        worker.open(1)
        worker.parts.redis.lost_state()  # at its next look, however, it does
        eventually(lambda: worker.evaluated() == 1)
    looked.clear()
    with alone(world, number=1):
        assert looked.is_set(), "before its first demand"


def test_a_spare_worker_asks_no_tables(world: World) -> None:
    with alone(world, spare=True) as worker:
        ids = worker.open(3)
        worker.parts.redis.lost_state()
        for candidate in (99_999, ids[0]):
            worker.give(entry(candidate))
            worker.asks_after(entry(candidate))
        assert worker.evaluated() == 1


def test_a_slow_evaluation_keeps_what_it_has_begun_while_it_makes_progress(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T17, T20: half an hour for each candidate of one taking, of which an hour is granted."""
    left = "SELECT count(*) FROM m10_recovery.evaluation_claim WHERE claimed_until > clock_timestamp() + '50 min'"
    passed, standing, real = [0.0], [], decision.by_rules

    def decide(*given: Any) -> Any:
        standing.append(world.sql(left)[0][0])
        world.sql("UPDATE m10_recovery.evaluation_claim SET claimed_until = claimed_until - interval '30 min'")
        passed[0] += 1800
        return real(*given)

    monkeypatch.setattr(evaluation, "by_rules", decide)
    monkeypatch.setattr(attempts, "time", SimpleNamespace(monotonic=lambda: time.monotonic() + passed[0]))
    with alone(world) as worker:
        worker.open(5)
        worker.parts.redis.lost_state()
        worker.give(entry(99_999))
        eventually(lambda: worker.evaluated() == 5)
        assert standing == [5] * 5
