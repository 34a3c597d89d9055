"""Leased evaluators in a whole engine: what waits for them, who asks them, and what comes of a failure."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pipeline_kit
import pytest
from pipeline_kit import NAMES, Engine, World, running

from m10actors.actors.messages import Tick
from m10actors.evaluators import Answer, Facts, Later, Proposal
from m10actors.postgres import evaluations, inputs, waiting
from m10actors.postgres.errors import DataRefused, StoreUnavailable
from m10actors.postgres.pool import Database
from m10actors.testing.evaluators import Calls, Script, abstain, propose, scripted
from m10actors.testing.failpoints import armed
from m10actors.testing.waiting import eventually

world = pipeline_kit.world
UNDECIDED = "ODD_THING"
"""An error code of which the rules know nothing."""


def settings(*names: str, **changed: Any) -> dict[str, Any]:
    """A chain of the rules and these scripted, leased evaluators."""
    found: dict[str, Any] = {"decisions__evaluators": ["rules", *names], "tree__evaluator_dispatcher__poll": "20ms"}
    for name in names:
        own = {"use": "m10actors.testing.evaluators:Scripted", "options": {"script": name}, "leased": True}
        found |= {f"evaluators__{name}__{key}": value for key, value in {**own, "backoff": "1ms"}.items()}
    return found | changed


@contextmanager
def with_slow(world: World, script: Script, **changed: Any) -> Iterator[Engine]:
    """An engine with the leased evaluator `slow`."""
    with scripted(slow=script), running(world, **settings("slow", **changed)) as engine:
        yield engine


class Gate:
    """A script that waits until it is opened."""

    def __init__(self, then: Script) -> None:
        self.opened = threading.Event()
        self.asked = threading.Event()
        self._then = then

    def __call__(self, batch: Sequence[Facts]) -> Any:
        self.asked.set()
        self.opened.wait(30)
        return self._then(batch)


@pytest.fixture
def gate() -> Iterator[Gate]:
    """Proposes what is carried out, once opened."""
    made = Gate(propose("retry_exponential", 0.9, because="the model says so", details={"model": "small"}))
    yield made
    made.opened.set()


def claims(world: World) -> dict[int, tuple[str | None, int, bool]]:
    """(evaluator, attempts, in hand) of each candidate that somebody has or that waits."""
    rows = world.sql(
        "SELECT candidate_id, evaluator, attempts, claimed_until > clock_timestamp() FROM m10_recovery.evaluation_claim"
    )
    return {row[0]: row[1:] for row in rows}


def test_what_the_rules_leave_undecided_is_decided_by_the_next_and_carried_out(world: World, gate: Gate) -> None:
    gate.opened.set()
    with with_slow(world, gate) as engine:
        [candidate] = engine.ingest([1], code=UNDECIDED)
        engine.ingest([2])
        world.sound(2)
        [(explain, rules)] = world.sql(
            "SELECT explain, rules_evaluated FROM public.recovery_candidates WHERE id = %s", candidate
        )
        assert (explain["evaluator"], explain["action"], explain["reason"]) == ("slow", "retry_exponential", "executes")
        assert rules[0]["because"] == "the model says so"
        assert claims(world) == {}


def test_while_it_waits_nothing_is_pending_and_the_fast_go_on(world: World, gate: Gate) -> None:
    """No claim worker is held, no row locked, no entry kept; the sweep and the tables leave it alone."""
    with with_slow(
        world,
        gate,
        intake__claim_workers=1,
        intake__spare_workers=0,
        intake__poll_interval="10ms",
        intake__sweep_after="1ms",
    ) as engine:
        [slow] = engine.ingest([1], code=UNDECIDED)
        assert gate.asked.wait(20)
        engine.ingest(range(2, 12))
        eventually(lambda: world.stores().delivered == 10)
        world.stream_is_empty()
        assert claims(world) == {slow: ("slow", 1, True)}
        gate.opened.set()
        world.sound(11)


def test_an_entry_that_comes_again_while_its_candidate_waits_is_let_go(world: World, gate: Gate) -> None:
    with with_slow(world, gate) as engine:
        [slow] = engine.ingest([1], code=UNDECIDED)
        assert gate.asked.wait(20)
        world.stream_is_empty()
        world.sql("SELECT m10_recovery.enqueue_work(%s)", slow)
        engine.add((slow, 1))
        world.stream_is_empty()
        engine.tree.tell("claim_worker.1", Tick("poll"))
        eventually(
            lambda: world.sql("SELECT count(*) FROM m10_recovery.work_queue WHERE processed_at IS NULL") == [(0,)]
        )
        gate.opened.set()
        world.sound(1)


def test_an_entry_whose_worker_died_before_it_let_go_is_reclaimed_and_let_go(world: World, gate: Gate) -> None:
    """The reclaimer finds it while its candidate waits, and a worker lets go of it without an attempt."""
    with with_slow(world, gate, tree__reclaimer__poll="10ms", intake__claim_idle="20ms") as engine:
        with armed("eval.before_ack:raise:RuntimeError"):
            [slow] = engine.ingest([1], code=UNDECIDED)
            assert gate.asked.wait(20)
        world.stream_is_empty()
        assert claims(world)[slow] == ("slow", 1, True)
        gate.opened.set()
        world.sound(1)


def test_calls_are_as_many_at_once_as_is_allowed_and_one_evaluator_does_not_hold_up_another(
    world: World, gate: Gate
) -> None:
    stuck = Calls(gate)

    def even(batch: Sequence[Facts]) -> Any:
        return propose("retry_exponential")([facts for facts in batch if facts.candidate.id % 2 == 0])

    sizes = {"evaluators__stuck__batch_size": 1, "evaluators__stuck__concurrency": 2, "intake__evaluator_workers": 3}
    with scripted(even=even, stuck=stuck), running(world, **settings("even", "stuck", **sizes)) as engine:
        engine.ingest(range(10), code=UNDECIDED)
        eventually(lambda: len(stuck.batches) == 2 and world.stores().delivered == 5)
        engine.ingest(range(10, 20), code=UNDECIDED)
        eventually(lambda: world.stores().delivered == 10)
        gate.opened.set()
        world.sound(20)
    assert stuck.most_at_once == 2


def failing(world: World, times: int) -> Callable[[Sequence[Facts]], Any]:
    left = [times]

    def script(batch: Sequence[Facts]) -> Any:
        if left[0]:
            left[0] -= 1
            raise ConnectionError("away")
        return propose("retry_exponential")(batch)

    return script


def test_what_fails_is_asked_again_and_an_attempt_that_works_ends_it(world: World) -> None:
    with with_slow(world, failing(world, 3), evaluators__slow__retries=3) as engine:
        engine.ingest([1], code=UNDECIDED)
        world.sound(1)


def test_what_fails_too_often_is_a_dead_letter_and_those_beside_it_are_decided(world: World) -> None:
    def picky(batch: Sequence[Facts]) -> list[Answer]:
        return [
            Proposal(facts.candidate.id, "retry_exponential", 7 if facts.candidate.source == "service-3" else 0.9)
            for facts in batch
        ]

    calls = Calls(picky)
    with with_slow(world, calls, evaluators__slow__retries=2) as engine:
        ids = engine.ingest(range(6), code=UNDECIDED)
        eventually(lambda: world.stores().delivered == 5 and world.stores().dead == 1)
        [(reason, candidate, attempts, _)] = world.dead_letters()
        assert reason == "evaluator_failed: slow: confidence: expected a number from 0 to 1, got 7"
        assert (candidate, attempts) == (ids[3], 3)
        assert sum(ids[3] in batch for batch in calls.batches) == 3
        assert claims(world) == {}


def test_one_that_raises_on_a_batch_is_asked_about_each_alone_the_next_time(world: World) -> None:
    def poisoned(batch: Sequence[Facts]) -> Any:
        if any(facts.candidate.source == "service-3" for facts in batch):
            raise LookupError
        return propose("retry_exponential")(batch)

    with with_slow(world, poisoned, evaluators__slow__retries=2) as engine:
        ids = engine.ingest(range(6), code=UNDECIDED)
        eventually(lambda: world.stores().delivered == 5 and world.stores().dead == 1)
        assert [row[:2] for row in world.dead_letters()] == [("evaluator_failed: slow: LookupError", ids[3])]


def test_a_failure_for_good_can_leave_it_to_the_next(world: World) -> None:
    given = settings("slow", "next", evaluators__slow__retries=1, evaluators__slow__on_failure="abstain")
    with scripted(slow=failing(world, 9), next=propose("retry_exponential")), running(world, **given) as engine:
        engine.ingest([1], code=UNDECIDED)
        world.sound(1)
        assert world.sql("SELECT explain ->> 'evaluator' FROM public.recovery_candidates") == [("next",)]


def test_a_call_that_hangs_fails_at_its_timeout_and_its_late_answer_is_not_heard(world: World, gate: Gate) -> None:
    hang = {"evaluators__slow__timeout": "500ms", "evaluators__slow__retries": 0, "intake__evaluator_workers": 1}
    with with_slow(world, gate, **hang) as engine:
        [candidate] = engine.ingest([1], code=UNDECIDED)
        eventually(world.dead_letters)
        assert [row[:3] for row in world.dead_letters()] == [("evaluator_timeout: slow", candidate, 1)]
        gate.opened.set()
        engine.ingest([2], code=UNDECIDED)  # the worker is free again
        eventually(lambda: world.stores().delivered == 1)
        stores = world.stores()
        assert (stores.evaluated_twice, stores.published_twice) == (0, 0)


def test_a_worker_that_hangs_for_ever_is_replaced_and_the_others_go_on(world: World, gate: Gate) -> None:
    stuck = {
        "evaluators__slow__timeout": "500ms", "evaluators__slow__retries": 0, "intake__evaluator_workers": 1,
        "tree__evaluator_worker__stall_after": "1s", "tree__evaluator_worker__shutdown": "50ms",
    }  # fmt: skip
    hangs = Calls(lambda batch: gate(batch) if batch[0].candidate.source == "service-1" else propose()(batch))
    with scripted(slow=hangs), running(world, abandoned=1, **settings("slow", **stuck)) as engine:
        engine.ingest([1], code=UNDECIDED)
        eventually(world.dead_letters)
        engine.ingest([2], code=UNDECIDED)
        eventually(lambda: world.stores().delivered == 1)
        assert engine.restarts()["evaluator_worker.1"] == 1
        gate.opened.set()
        eventually(lambda: not any("abandoned" in thread.name for thread in threading.enumerate()))
        assert world.stores().published_twice == 0


def test_what_is_put_off_is_asked_again_as_often_as_it_takes_and_counts_no_attempt(world: World) -> None:
    asked: list[int] = []

    def person(batch: Sequence[Facts]) -> list[Answer]:
        asked.extend(facts.candidate.id for facts in batch)
        if len(asked) < 10:
            return [Later(facts.candidate.id, timedelta(milliseconds=1)) for facts in batch]
        return list(propose("retry_exponential")(batch))

    with with_slow(world, person, evaluators__slow__retries=0) as engine:
        [candidate] = engine.ingest([1], code=UNDECIDED)
        world.sound(1)
        assert asked == [candidate] * 10


def test_what_is_put_off_for_too_long_is_given_up(world: World) -> None:
    def never(batch: Sequence[Facts]) -> list[Answer]:
        return [Later(facts.candidate.id, timedelta(hours=2)) for facts in batch]

    with with_slow(world, never, evaluators__slow__max_wait="1h") as engine:
        engine.ingest([1], code=UNDECIDED)
        eventually(world.dead_letters)
        assert world.dead_letters()[0][0] == "evaluator_timeout: slow has no answer yet"


def test_what_waits_for_an_evaluator_that_is_no_longer_there_goes_through_the_chain_anew(
    world: World, gate: Gate
) -> None:
    with with_slow(world, lambda batch: [Later(facts.candidate.id, timedelta(days=1)) for facts in batch]) as engine:
        [candidate] = engine.ingest([1], code=UNDECIDED)
        eventually(lambda: claims(world) == {candidate: ("slow", 0, False)})
    with running(world, intake__poll_interval="10ms", intake__sweep_after="1ms"):
        eventually(lambda: world.stores().evaluated == 1)
        assert world.sql("SELECT explain ->> 'reason' FROM public.recovery_candidates") == [("no_rule_matched",)]
        assert claims(world) == {}


def test_a_drain_puts_back_what_is_in_hand_uncounted(world: World, gate: Gate) -> None:
    slow_end = {"tree__evaluator_worker__shutdown": "50ms"}
    with scripted(slow=gate), running(world, abandoned=1, **settings("slow", **slow_end)) as engine:
        [candidate] = engine.ingest([1], code=UNDECIDED)
        assert gate.asked.wait(20)
        engine.tree.stop(20)
        assert claims(world) == {candidate: ("slow", 0, False)}
        gate.opened.set()
    with with_slow(world, gate):
        world.sound(1)


@pytest.mark.parametrize("moment", ["evaluator.after_claim", "evaluator.before_write"])
def test_a_dispatcher_that_crashes_begins_anew_at_once(world: World, moment: str) -> None:
    with with_slow(world, propose("retry_exponential")) as engine:
        with armed(f"{moment}:raise:RuntimeError"):
            engine.ingest(range(10), code=UNDECIDED)
            world.sound(10)
        assert engine.restarts()["evaluator_dispatcher"] == 1
        assert engine.restarts()["evaluator_worker.1"] == 0


def test_what_a_worker_was_at_when_it_crashed_is_asked_again(world: World) -> None:
    crash = armed("evaluator.before_answer:raise:RuntimeError")
    with with_slow(world, propose("retry_exponential")) as engine, crash:
        engine.ingest(range(10), code=UNDECIDED)
        world.sound(10)


def test_an_outage_of_the_store_costs_no_answer(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    calls, real, away = Calls(propose("retry_exponential")), evaluations.apply, [3]

    def apply(*given: Any) -> Any:
        if away[0]:
            away[0] -= 1
            raise StoreUnavailable("away")
        return real(*given)

    monkeypatch.setattr(evaluations, "apply", apply)
    with with_slow(world, calls) as engine:
        engine.ingest([1], code=UNDECIDED)
        world.sound(1)
    assert len(calls.batches) == 1


@pytest.mark.parametrize("poison", ["unreadable", "unwritable"])
def test_a_candidate_that_the_store_refuses_is_given_up_and_those_beside_it_are_decided(
    world: World, monkeypatch: pytest.MonkeyPatch, poison: str
) -> None:
    real, refused = inputs.read, [0]

    def read(database: Database, ids: Sequence[int]) -> Any:
        if threading.current_thread().name.startswith("evaluator_dispatcher") and refused[0] in ids:
            raise DataRefused("cannot be read")
        return real(database, ids)

    with with_slow(world, propose("retry_exponential")) as engine:
        engine.ingest([0], code=UNDECIDED)
        world.settled(1)
        if poison == "unreadable":
            monkeypatch.setattr(inputs, "read", read)
        else:
            world.refuse("public.recovery_candidates", "NEW.suggestion <> '' AND NEW.source = 'service-3'")
        [(last,)] = world.sql("SELECT max(id) FROM public.recovery_candidates")
        refused[0] = last + 3
        engine.ingest(range(1, 6), code=UNDECIDED)
        eventually(lambda: world.stores().delivered == 5 and world.stores().dead == 1)
        assert world.dead_letters()[0][0].startswith("store_refused: ")


def test_leases_are_kept_within_a_call_however_long_it_takes(world: World, gate: Gate) -> None:
    """Another process finds nothing to take."""
    with with_slow(world, gate, intake__evaluation_lease="300ms", decisions__evaluator_timeout="100ms") as engine:
        engine.ingest([1], code=UNDECIDED)
        assert gate.asked.wait(20)
        until = "SELECT claimed_until FROM m10_recovery.evaluation_claim"
        for _ in range(3):
            before = world.sql(until)
            eventually(lambda: world.sql(until) > before)  # noqa: B023 - called within the round
        assert waiting.claim(engine.parts.app, "another", "slow", 10, timedelta(hours=1)) == []
        gate.opened.set()
        world.sound(1)


def test_a_result_that_another_had_first_changes_nothing(world: World, gate: Gate) -> None:
    with with_slow(world, gate) as engine:
        [slow] = engine.ingest([1], code=UNDECIDED)
        assert gate.asked.wait(20)
        world.sql("UPDATE public.recovery_candidates SET evaluated_generation = generation, suggestion = 'first'")
        gate.opened.set()
        eventually(lambda: engine.doing("evaluator_dispatcher").startswith("0 calls"))
        assert world.sql("SELECT suggestion FROM public.recovery_candidates WHERE id = %s", slow) == [("first",)]
        assert world.stores().published == 0


def metric(name: str, labels: Mapping[str, str]) -> float:
    from m10actors.metrics import REGISTRY

    return REGISTRY.get_sample_value(name, dict(labels)) or 0.0


def test_calls_and_failures_are_counted_by_evaluator(world: World) -> None:
    before = metric("m10_evaluator_seconds_count", {"evaluator": "slow"})
    raised = metric("m10_evaluator_failures_total", {"evaluator": "slow", "reason": "raised"})
    with with_slow(world, failing(world, 1)) as engine:
        engine.ingest([1], code=UNDECIDED)
        world.sound(1)
    assert metric("m10_evaluator_seconds_count", {"evaluator": "slow"}) == before + 2
    assert metric("m10_evaluator_failures_total", {"evaluator": "slow", "reason": "raised"}) == raised + 1


def test_where_nobody_knows_anything_a_person_decides(world: World) -> None:
    with with_slow(world, abstain) as engine:
        engine.ingest([1], code=UNDECIDED)
        eventually(lambda: world.stores().evaluated == 1)
        assert world.sql("SELECT decision, explain ->> 'reason' FROM public.recovery_candidates") == [
            ("pending", "no_rule_matched")
        ]
        assert world.raw.xlen(NAMES.stream) == 0
