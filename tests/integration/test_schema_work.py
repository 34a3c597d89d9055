"""The fallback queue, and the claims of evaluations that go through PostgreSQL."""

from datetime import timedelta
from typing import Any

import pytest
from schema_kit import Lab, at_once, in_background

from m10actors.postgres import evaluations
from m10actors.testing.database import MigratedDatabase

MINUTE = timedelta(minutes=1)
NOW = timedelta(0)


@pytest.fixture
def lab(database: MigratedDatabase) -> Lab:
    return Lab(database)


def enqueue(lab: Lab, candidate: int, priority: int = 0) -> int:
    return int(lab.value("SELECT m10_recovery.enqueue_work(%s, NULL, %s)", candidate, priority))


def claim(lab: Lab, worker: str = "w", limit: int = 10) -> list[Any]:
    return lab.sql.execute("SELECT * FROM m10_recovery.claim_work(%s, %s)", [worker, limit]).fetchall()


def fail(lab: Lab, work: int) -> None:
    assert lab.value("SELECT m10_recovery.complete_work(%s, false, 'no')", work)


def wake(lab: Lab) -> None:
    lab.sql.execute("UPDATE m10_recovery.work_queue SET process_after = clock_timestamp()")


def delay(lab: Lab, work: int) -> float:
    seconds = "extract(epoch FROM process_after - clock_timestamp())::float8"
    return float(lab.value(f"SELECT {seconds} FROM m10_recovery.work_queue WHERE id = %s", work))


def test_a_candidate_has_one_open_row_and_a_repeat_raises_its_priority(lab: Lab) -> None:
    work = enqueue(lab, 1, priority=2)
    assert enqueue(lab, 1, priority=5) == work
    assert enqueue(lab, 1, priority=1) == work
    row = lab.work(work)
    assert (row.priority, row.retry_count, row.requeued) == (5, 0, False)


def test_claims_come_by_priority_then_age_and_are_never_given_twice(lab: Lab) -> None:
    works = [enqueue(lab, candidate, priority) for candidate, priority in ((1, 0), (2, 9), (3, 0), (4, 9))]
    first, second = claim(lab, "a", 3), claim(lab, "b", 3)
    assert [row.work_id for row in first] == [works[1], works[3], works[0]]
    assert [row.work_id for row in second] == [works[2]]
    assert (lab.work(works[2]).claimed_by, lab.work(works[2]).claimed_at is None) == ("b", False)


def test_workers_that_claim_at_once_share_the_queue(lab: Lab) -> None:
    lab.sql.execute("SELECT m10_recovery.enqueue_work(n) FROM generate_series(1, 200) n")
    connections = [lab.database.connect("app") for _ in range(8)]
    tasks = [
        lambda connection=connection: connection.execute(
            "SELECT work_id FROM m10_recovery.claim_work('w', 25)"
        ).fetchall()
        for connection in connections
    ]
    claimed = [row for rows in at_once(tasks) for row in rows]
    claimed += [(row.work_id,) for row in claim(lab, limit=200)]  # what a racing neighbour had under its lock
    assert len(claimed) == len(set(claimed)) == 200


def test_a_row_that_succeeded_is_done_and_the_next_repeat_is_a_new_row(lab: Lab) -> None:
    work = enqueue(lab, 1)
    claim(lab)
    assert lab.value("SELECT m10_recovery.complete_work(%s)", work)
    assert not lab.value("SELECT m10_recovery.complete_work(%s)", work)
    assert not lab.value("SELECT m10_recovery.complete_work(404)")
    assert enqueue(lab, 1) != work


@pytest.mark.parametrize("success", [True, False])
def test_a_repeat_while_the_row_is_claimed_reopens_it_at_completion(lab: Lab, success: bool) -> None:
    work = enqueue(lab, 1)
    lab.sql.execute("UPDATE m10_recovery.work_queue SET retry_count = 5")
    claim(lab)
    enqueue(lab, 1)
    assert lab.work(work).requeued
    lab.value("SELECT m10_recovery.complete_work(%s, %s)", work, success)
    row = lab.work(work)
    assert (row.processed_at, row.claimed_at, row.requeued) == (None, None, False)


def test_a_failure_comes_back_with_backoff_and_the_sixth_is_the_last(lab: Lab) -> None:
    work = enqueue(lab, 1)
    delays = []
    for _ in range(5):
        assert claim(lab)
        fail(lab, work)
        delays.append(round(delay(lab, work), -1))
        assert claim(lab) == []  # not before its time
        wake(lab)
    assert delays == [30, 60, 120, 240, 480]
    assert claim(lab)[0].retry_count == 5
    fail(lab, work)
    row = lab.work(work)
    assert (row.processed_at is None, row.error_message) == (False, "no")


def test_an_absurd_retry_count_overflows_nothing(lab: Lab) -> None:
    work = enqueue(lab, 1)
    lab.sql.execute("UPDATE m10_recovery.work_queue SET retry_count = 2000000000, requeued = true")
    fail(lab, work)
    assert 3590 < delay(lab, work) < 3601


def test_stalled_claims_are_freed_and_fresh_ones_kept(lab: Lab) -> None:
    old, fresh = enqueue(lab, 1), enqueue(lab, 2)
    claim(lab)
    lab.sql.execute(
        "UPDATE m10_recovery.work_queue SET claimed_at = claimed_at - interval '301 s' WHERE id = %s", [old]
    )
    assert lab.value("SELECT m10_recovery.release_stalled_work()") == 1
    assert [row.work_id for row in claim(lab, "b")] == [old]
    assert lab.work(fresh).claimed_by == "w"


def test_a_fallback_claim_begins_an_attempt_at_what_is_due(lab: Lab) -> None:
    due, done = lab.open(), lab.open()
    lab.evaluate(done)
    works = {candidate: enqueue(lab, candidate) for candidate in (due, done, 404)}
    [taking] = evaluations.claim_fallback(lab.app, "w", 10, MINUTE)
    assert (taking.candidate_id, taking.generation, taking.attempts, taking.work_id) == (due, 1, 1, works[due])
    assert lab.work(works[done]).processed_at is not None
    assert lab.work(works[404]).processed_at is not None
    assert evaluations.claim_fallback(lab.app, "w", 10, MINUTE) == []


def test_a_fallback_row_of_a_candidate_in_other_hands_comes_back_after_their_lease(lab: Lab) -> None:
    candidate = lab.open()
    work = enqueue(lab, candidate)
    evaluations.begin_attempts(lab.app, "other", [(candidate, 1)], MINUTE)
    assert evaluations.claim_fallback(lab.app, "w", 10, MINUTE) == []
    assert lab.work(work).claimed_at is None
    assert 50 < delay(lab, work) <= 60


def test_an_evaluation_completes_its_fallback_row_in_the_same_transaction(lab: Lab) -> None:
    candidate = lab.open()
    work = enqueue(lab, candidate)
    [taking] = evaluations.claim_fallback(lab.app, "w", 10, MINUTE)
    lab.evaluate(candidate, work_ids=[taking.work_id or 0])
    assert lab.work(work).processed_at is not None
    assert lab.value("SELECT count(*) FROM m10_recovery.evaluation_claim") == 0


def test_the_sweep_takes_what_is_overdue_oldest_first_and_leaves_what_is_in_other_hands(lab: Lab) -> None:
    young, old, busy, done = (lab.open() for _ in range(4))
    lab.evaluate(done)
    lab.sql.execute("UPDATE recovery_candidates SET due_at = due_at - interval '1 h' WHERE id <> %s", [young])
    lab.sql.execute("UPDATE recovery_candidates SET due_at = due_at - interval '1 h' WHERE id = %s", [old])
    evaluations.begin_attempts(lab.app, "other", [(busy, 1)], MINUTE)
    takings = evaluations.claim_overdue(lab.app, "w", 10, MINUTE, MINUTE)
    assert [(taking.candidate_id, taking.generation, taking.attempts) for taking in takings] == [(old, 1, 1)]
    assert [taking.candidate_id for taking in evaluations.claim_overdue(lab.app, "v", 10, NOW, MINUTE)] == [young]


def test_sweeps_at_once_take_nothing_twice(lab: Lab) -> None:
    lab.sql.execute(
        """INSERT INTO recovery_candidates (failure_match_id, suggestion)
           SELECT gen_random_uuid(), '' FROM generate_series(1, 100)"""
    )
    pool = lab.database.pool("app", size=8)
    tasks = [lambda n=n: evaluations.claim_overdue(pool, f"w{n}", 50, NOW, MINUTE) for n in range(8)]
    taken = [taking.candidate_id for takings in at_once(tasks) for taking in takings]
    assert len(taken) == len(set(taken))


def test_attempts_are_counted_per_generation_also_when_it_is_named_twice_at_once(lab: Lab) -> None:
    candidate = lab.open()
    twice = [(candidate, 1), (candidate, 1), (404, 1)]
    assert evaluations.begin_attempts(lab.app, "w", twice, NOW) == {(candidate, 1): 1, (404, 1): 1}
    assert evaluations.begin_attempts(lab.app, "v", [(candidate, 1)], MINUTE) == {(candidate, 1): 2}
    for worker in ("w", "v"):  # in hand, also for its own worker
        assert evaluations.begin_attempts(lab.app, worker, [(candidate, 1)], MINUTE) == {}
    evaluations.take_over(lab.app, ["v"])
    assert evaluations.begin_attempts(lab.app, "w", [(candidate, 1)], MINUTE) == {(candidate, 1): 3}
    lab.evaluate(candidate)
    assert evaluations.begin_attempts(lab.app, "w", [(candidate, 1)], MINUTE) == {}
    assert evaluations.begin_attempts(lab.app, "w", [], MINUTE) == {}


@pytest.mark.parametrize("way", ["fallback", "sweep"])
def test_of_what_was_begun_before_one_is_taken_at_a_time_beside_all_that_is_new(lab: Lab, way: str) -> None:
    new, in_hand, *begun = [lab.open() for _ in range(6)]
    for candidate in (*begun, in_hand, new):
        enqueue(lab, candidate)
    evaluations.begin_attempts(lab.app, "dead", [(candidate, 1) for candidate in begun], NOW)
    evaluations.begin_attempts(lab.app, "other", [(in_hand, 1)], MINUTE)

    def take() -> list[tuple[int, int]]:
        if way == "fallback":
            takings = evaluations.claim_fallback(lab.app, "w", 10, MINUTE)
        else:
            takings = evaluations.claim_overdue(lab.app, "w", 10, NOW, MINUTE)
        return sorted((taking.candidate_id, taking.attempts) for taking in takings)

    assert [take() for _ in range(5)] == [[(new, 1), (begun[0], 2)], *([(candidate, 2)] for candidate in begun[1:]), []]


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT count(*) FROM m10_recovery.complete_works('{1,2}', true, NULL)",
        "SELECT m10_recovery.release_stalled('0')",
        "SELECT works FROM m10_recovery.take_over('{w}')",
    ],
)
def test_what_ends_or_frees_claims_does_not_deadlock_with_what_enqueues(lab: Lab, statement: str) -> None:
    works = [enqueue(lab, 7), enqueue(lab, 3)]
    assert len(claim(lab)) == 2
    other, ending, enqueueing = (lab.database.connect("superuser") for _ in range(3))
    other.execute("BEGIN")
    other.execute("SELECT FROM m10_recovery.work_queue WHERE id = %s FOR UPDATE", works[:1])
    ended = in_background(lambda: ending.execute(statement.encode()).fetchone())
    lab.until_somebody_waits()
    enqueued = in_background(
        lambda: enqueueing.execute("SELECT m10_recovery.enqueue_works('{3,7}', NULL, 0, 'db_fallback')").rowcount
    )
    lab.until_somebody_waits(2)
    other.execute("COMMIT")
    assert (ended.result(10), enqueued.result(10)) == ((2,), 2)
    assert len(claim(lab)) == 2  # what was enqueued meanwhile is open


def test_a_takeover_does_not_deadlock_with_who_begins_what_the_dead_had_begun(lab: Lab) -> None:
    first, second, third = sorted(lab.open() for _ in range(3))
    for each in (third, first, second):  # so they lie in the table
        evaluations.begin_attempts(lab.app, "dead", [(each, 1)], NOW)
    other, taking_over, beginning = (lab.database.connect("superuser") for _ in range(3))
    other.execute("BEGIN")
    other.execute("SELECT FROM m10_recovery.evaluation_claim WHERE candidate_id = %s FOR UPDATE", [second])
    begun = in_background(
        lambda: beginning.execute(
            "SELECT attempts FROM m10_recovery.begin_attempts('w', %s, '{1,1,1}', '1 hour')", [[first, second, third]]
        ).fetchall()
    )
    lab.until_somebody_waits()
    taken = in_background(lambda: taking_over.execute("SELECT * FROM m10_recovery.take_over('{dead}')").fetchone())
    lab.until_somebody_waits(2)
    other.execute("COMMIT")
    assert begun.result(10) == [(2,), (2,), (2,)]
    assert taken.result(10) == (0, 0, 0, 0)  # nothing is theirs any more
