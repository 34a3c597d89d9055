"""What leased evaluators were asked: who is at what until when, and what follows from an outcome."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from m10actors.actors.asked import Asked, Job, sort
from m10actors.evaluation import Batch, Rules, Work
from m10actors.evaluators import Candidate, Facts, History
from m10actors.evaluators.chain import Decided, Failed, Outcome, PutOff, Step, Waits
from m10actors.postgres.waiting import Again, Waiting
from m10actors.recovery.actions import SEEDED_ACTIONS
from m10actors.recovery.decision import decide
from m10actors.recovery.gates import Policy

DAY = timedelta(days=1)
CANDIDATE = Candidate(1, 4, "ODD", "", "", "", 1, datetime(2026, 1, 1, tzinfo=UTC))
FACTS = Facts(CANDIDATE, History(), SEEDED_ACTIONS)
BATCH = Batch(Rules(Policy(), {}), {1: (Work(1, 4), FACTS)})
DECIDED = Decided(decide(CANDIDATE, History(), SEEDED_ACTIONS, Policy()), 3)


def job(attempts: int = 1, waited: timedelta = timedelta(0), *, passed: bool = False, **step: Any) -> Job:
    slow = Step("slow", None, leased=True, **step)
    return Job.of(slow, BATCH, [Waiting(1, 4, attempts, waited)], passed=passed)


def again(given: Job, outcome: Outcome) -> Again | str | Mapping[int, Outcome]:
    """What is to be done about an outcome."""
    found = sort(given, {1: outcome})
    if found.again:
        return found.again[0]
    return found.give_up[0][1] if found.give_up else found.write


@pytest.mark.parametrize("outcome", [DECIDED, Waits("slower")])
def test_what_is_decided_or_has_to_wait_for_another_is_written(outcome: Outcome) -> None:
    assert again(job(), outcome) == {1: outcome}


@pytest.mark.parametrize(("attempts", "seconds"), [(1, 10), (2, 20), (3, 40), (9, 2560), (10, 3600), (100, 3600)])
def test_a_failure_is_repeated_after_a_pause_that_doubles_up_to_an_hour(attempts: int, seconds: int) -> None:
    assert again(job(attempts, retries=100), Failed("x")) == Again(1, 4, timedelta(seconds=seconds))


def test_a_pause_that_is_longer_than_an_hour_from_the_start_does_not_grow() -> None:
    assert again(job(5, backoff=DAY), Failed("x")) == Again(1, 4, DAY)


def test_after_so_many_retries_it_is_given_up_with_the_last_reason() -> None:
    assert again(job(2, retries=2), Failed("x")) == Again(1, 4, timedelta(seconds=20))
    assert again(job(3, retries=2), Failed("x")) == "x"


def test_what_fails_after_the_evaluator_was_passed_is_given_up_at_once() -> None:
    assert again(job(1, passed=True), Failed("x")) == "x"


def test_what_is_put_off_spends_no_attempt_until_it_has_waited_too_long() -> None:
    assert again(job(9, max_wait=DAY), PutOff(DAY)) == Again(1, 4, DAY, counted=False)
    late = job(1, timedelta(seconds=1), max_wait=DAY)
    assert again(late, PutOff(DAY)) == "evaluator_timeout: slow has no answer yet"


def test_a_call_is_heard_until_its_time_is_up_and_not_after() -> None:
    asked, first, second = Asked(), job(timeout=timedelta(seconds=5)), job()
    asked.put("w.1", 7, first, now=100.0)
    assert asked.next_deadline(101.0, otherwise=60.0) == 4.0
    assert asked.overdue(104.9) == []
    assert asked.answered("w.1", first.number + 1_000) is None
    assert asked.overdue(105.0) == [first]
    assert asked.answered("w.1", first.number) is None
    asked.put("w.1", 7, second, now=106.0)
    assert asked.answered("w.1", second.number) is second
    assert asked.next_deadline(106.0, otherwise=60.0) == 60.0


def test_what_a_worker_left_is_known_by_the_incarnation_that_was_at_it() -> None:
    asked, given = Asked(), job()
    asked.put("w.1", 7, given, now=0.0)
    assert asked.has("w.1", 7)
    assert not asked.has("w.1", 8)
    assert asked.left_by("w.1") is given
    assert asked.left_by("w.1") is None


def test_what_waits_for_a_worker_is_in_hand_and_one_that_was_passed_is_no_call() -> None:
    asked = Asked()
    asked.put("w.1", 7, job(), now=0.0)
    asked.waiting += [job(), job(passed=True)]
    assert len(list(asked.jobs())) == 3
    assert asked.count("slow") == 2


def test_a_candidate_that_is_no_longer_due_is_not_asked_about() -> None:
    taken = [Waiting(1, 4, 1, timedelta(0)), Waiting(2, 1, 1, timedelta(0))]
    assert set(Job.of(Step("slow", None), BATCH, taken).taken) == {1}
