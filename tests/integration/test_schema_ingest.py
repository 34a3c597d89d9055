"""The way in: the one upsert, the documents' own statements, idempotency keys, and many callers at once."""

from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from schema_kit import ROUTES, Lab, at_once, failure, in_background, refused

from m10actors.postgres import evaluations, failures, inputs
from m10actors.testing.database import MigratedDatabase
from m10actors.testing.waiting import eventually

UPSERT = "SELECT * FROM public.upsert_recovery_candidate(%s, 'x', 0.5, '{}', 'TIMEOUT', %s, 'api', 'me')"
DOCUMENTED = """
    INSERT INTO recovery_candidates (failure_match_id, suggestion, confidence, error_signature, source, created_by)
    VALUES (%s, 'x', 0.5, %s, 'api', 'me')
    ON CONFLICT (failure_match_id, error_signature) DO UPDATE
    SET occurrence_count = recovery_candidates.occurrence_count + 1, last_occurrence_at = now()
    RETURNING id, (xmax = 0) AS is_insert, occurrence_count"""
WRITERS = 10


@pytest.fixture
def lab(database: MigratedDatabase) -> Lab:
    return Lab(database)


@pytest.mark.parametrize("statement", [UPSERT, DOCUMENTED], ids=["function", "statement"])
@pytest.mark.parametrize("signature", ["s", None])
def test_a_hundred_upserts_at_once_are_one_insert_and_99_updates(
    database: MigratedDatabase, statement: str, signature: str | None
) -> None:
    match_id = uuid4()
    connections = [database.connect("app") for _ in range(WRITERS)]

    def writes(connection: psycopg.Connection[Any]) -> Callable[[], list[Any]]:
        return lambda: [connection.execute(statement, [match_id, signature]).fetchone() for _ in range(100 // WRITERS)]

    rows = [row for answers in at_once([writes(connection) for connection in connections]) for row in answers]
    assert sorted(row[1] for row in rows) == [False] * 99 + [True]
    assert sorted(row[2] for row in rows) == list(range(1, 101))
    assert len({row[0] for row in rows}) == 1
    counted = connections[0].execute("SELECT error_signature, occurrence_count FROM recovery_candidates").fetchall()
    assert counted == [(signature or "", 100)]


def test_in_every_round_of_sixteen_racing_batches_each_failure_is_opened_once(lab: Lab) -> None:
    pool = lab.database.pool("app", size=16)
    for _ in range(15):
        ids = [uuid4() for _ in range(3)]
        batches = [[failure(ids[(start + n) % 3], key=uuid4()) for n in range(3)] for start in range(16)]
        tasks = [lambda batch=batch: failures.ingest(pool, batch, "me") for batch in batches]
        answers = [answer for answers in at_once(tasks) for answer in answers]
        assert sum(answer.opened for answer in answers) == 3
        assert all(answer.counted for answer in answers)
        counts = lab.sql.execute(
            "SELECT occurrence_count FROM recovery_candidates WHERE failure_match_id = ANY (%s)", [ids]
        ).fetchall()
        assert [row[0] for row in counts] == [16, 16, 16]


def test_batches_in_opposite_order_do_not_deadlock(lab: Lab) -> None:
    ids = [uuid4() for _ in range(40)]
    failures.ingest(lab.app, [failure(one) for one in ids], "me")
    forward, backward = [failure(one) for one in ids], [failure(one) for one in reversed(ids)]
    for _ in range(10):
        at_once([lambda batch=batch: failures.ingest(lab.app, batch, "me") for batch in (forward, backward)])
    assert lab.value("SELECT min(occurrence_count) FROM recovery_candidates") == 21
    lab.sql.execute("SELECT pg_stat_force_next_flush()")
    assert lab.value("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()") == 0


def test_a_batch_that_finds_a_failure_opened_meanwhile_does_not_deadlock_with_one_that_knew_it(lab: Lab) -> None:
    first, second, third = (UUID(int=n) for n in (1, 2, 3))
    pool, other = lab.database.pool("app", size=2), lab.database.connect("app")
    with other.transaction(force_rollback=True):
        other.execute(UPSERT, [second, "s"])
        slow = in_background(lambda: failures.ingest(pool, [failure(one) for one in (first, second, third)], "me"))
        lab.until_somebody_waits()  # it has opened the first, and knows of no third
        failures.ingest(lab.app, [failure(third)], "me")
        quick = in_background(lambda: failures.ingest(pool, [failure(one) for one in (first, third)], "me"))
        lab.until_somebody_waits(2)
    assert [answer.occurrence_count for answer in slow.result(10)] == [1, 1, 2]
    assert [answer.occurrence_count for answer in quick.result(10)] == [2, 3]
    lab.sql.execute("SELECT pg_stat_force_next_flush()")
    assert lab.value("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()") == 0


def test_a_repeat_touches_no_index(lab: Lab) -> None:
    candidate = lab.open(times=20)
    lab.evaluate(candidate)
    for _ in range(40):
        lab.repeat(candidate)
    lab.app.close()  # which makes its connections tell their statistics
    updates = "SELECT n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'recovery_candidates'"
    eventually(lambda: lab.value(updates) >= 40)


def test_nothing_to_do_is_done(lab: Lab) -> None:
    assert failures.ingest(lab.app, [], "me") == []
    failures.enqueue_fallback(lab.app, [])
    assert evaluations.apply(lab.app, "w", [], ROUTES, []) == []
    assert evaluations.bury(lab.app, "w", []) == set()
    assert inputs.read(lab.app, []) == {}
    evaluations.complete_works(lab.app, [])


def test_a_repeat_burns_no_id(lab: Lab) -> None:
    first = lab.open()
    for _ in range(50):
        lab.repeat(first)
        lab.sql.execute(UPSERT, [lab.match_ids[first], "s"])
    assert lab.open() == first + 1


def test_a_failure_whose_candidate_is_archived_in_the_same_moment_opens_another(lab: Lab) -> None:
    candidate = lab.open()
    owner = lab.database.connect("owner")
    with owner.transaction():
        owner.execute("SELECT set_config('m10_recovery.archiving', 'on', true)")
        owner.execute("DELETE FROM recovery_candidates WHERE id = %s", [candidate])
        waiting = in_background(lambda: failures.ingest(lab.app, [failure(lab.match_ids[candidate])], "me")[0])
        lab.until_somebody_waits()
    answer = waiting.result(10)
    assert (answer.opened, answer.occurrence_count) == (True, 1)
    assert answer.candidate_id > candidate, "no id is given twice"


def test_a_failure_whose_candidate_becomes_another_in_the_same_moment_opens_one_and_is_not_refused(lab: Lab) -> None:
    candidate = lab.open()
    owner = lab.database.connect("owner")
    with owner.transaction():
        owner.execute("UPDATE recovery_candidates SET error_signature = 'other' WHERE id = %s", [candidate])
        waiting = in_background(lambda: failures.ingest(lab.app, [failure(lab.match_ids[candidate])], "me")[0])
        lab.until_somebody_waits()
    answer = waiting.result(10)
    assert (answer.opened, answer.occurrence_count) == (True, 1)
    assert answer.candidate_id > candidate


def test_a_key_counts_once_whatever_comes_with_it(lab: Lab) -> None:
    match_id, key = uuid4(), uuid4()
    batch = [
        failure(match_id, key=key),
        failure(match_id, key=key),
        failure(match_id),
        failure(match_id, key=key, note="b"),
    ]
    answers = failures.ingest(lab.app, batch, "me")
    assert [answer.opened for answer in answers] == [True, False, False, False]
    assert [answer.counted for answer in answers] == [True, False, True, False]
    assert [answer.key_conflict for answer in answers] == [False, False, False, True]
    assert {answer.occurrence_count for answer in answers} == {2}
    elsewhere = failures.ingest(lab.app, [failure(uuid4(), key=key)], "me")[0]
    assert (elsewhere.candidate_id, elsewhere.counted, elsewhere.key_conflict) == (answers[0].candidate_id, False, True)
    assert lab.value("SELECT count(*) FROM recovery_candidates") == 1


def test_a_key_sent_by_many_at_once_counts_once(lab: Lab) -> None:
    pool = lab.database.pool("app", size=8)
    match_id, key = uuid4(), uuid4()
    answers = at_once([lambda: failures.ingest(pool, [failure(match_id, key=key)], "me")[0]] * 8)
    assert sum(answer.counted for answer in answers) == 1
    assert {answer.occurrence_count for answer in answers} == {1}


def test_a_key_whose_first_transaction_rolls_back_is_free_for_the_second(lab: Lab) -> None:
    """Who waits for an uncommitted key may neither take it for seen nor lose its own count."""
    match_id, key = uuid4(), uuid4()
    other = lab.database.connect("owner")
    with other.transaction(force_rollback=True):
        other.execute(
            "INSERT INTO m10_recovery.accepted_key (key, failure_match_id, error_signature, payload_hash)"
            " VALUES (%s, %s, 's', '')",
            [key, match_id],
        )
        waiting = in_background(lambda: failures.ingest(lab.app, [failure(match_id, key=key)], "me")[0])
        lab.until_somebody_waits()
    answer = waiting.result(10)
    assert (answer.counted, answer.opened, answer.occurrence_count) == (True, True, 1)


def test_of_each_repeat_only_the_one_that_made_it_due_wants_a_message(lab: Lab) -> None:
    opened = failures.ingest(lab.app, [failure(one := uuid4())], "me")[0]
    assert (opened.became_due, opened.generation) == (True, 1)
    lab.match_ids[opened.candidate_id] = one
    assert not lab.repeat(opened.candidate_id).became_due  # it is due already
    lab.evaluate(opened.candidate_id)
    told = [lab.repeat(opened.candidate_id).became_due for _ in range(9)]
    assert told == [False, False, True, False, False, False, False, False, False]
    # ten occurrences, but the evaluation of the fifth is still due: it will see them


def test_repeats_at_once_over_a_threshold_want_one_message_together(lab: Lab) -> None:
    candidate = lab.open()
    lab.evaluate(candidate)
    pool = lab.database.pool("app", size=8)
    one = failure(lab.match_ids[candidate])
    answers = at_once([lambda: failures.ingest(pool, [one], "me")[0]] * 8)
    assert sum(answer.became_due for answer in answers) == 1


def test_a_batch_of_thousand_with_duplicates_inside_is_counted_item_by_item(lab: Lab) -> None:
    ids = [uuid4() for _ in range(100)]
    answers = failures.ingest(lab.app, [failure(ids[n % 100], key=UUID(int=n % 900)) for n in range(1000)], "me")
    assert sum(answer.counted for answer in answers) == 900
    assert sum(answer.opened for answer in answers) == 100
    assert {answer.occurrence_count for answer in answers} == {9}
    assert lab.value("SELECT count(*) FROM m10_recovery.suggestion_input") == 100


def test_the_count_is_wider_than_an_int(lab: Lab) -> None:
    candidate = lab.open()
    lab.sql.execute("UPDATE recovery_candidates SET occurrence_count = 2147483647")
    assert lab.repeat(candidate).occurrence_count == 2147483648


def test_the_documented_enqueue_and_replay_log_statements_work(database: MigratedDatabase) -> None:
    app, ops = database.connect("app"), database.connect("ops")
    enqueue = "SELECT m10_recovery.enqueue_work(%s, CAST(%s AS uuid), 0, 'db_fallback')"
    assert app.execute(enqueue, [7, str(uuid4())]).fetchone() == app.execute(enqueue, [7, None]).fetchone()
    log = """INSERT INTO m10_recovery.replay_log (message_id, processed_at) VALUES ('7:1', now())
             ON CONFLICT (message_id) DO NOTHING"""
    assert (ops.execute(log).rowcount, ops.execute(log).rowcount) == (1, 0)
    assert refused(app, log) == psycopg.errors.InsufficientPrivilege.sqlstate


def test_text_that_cannot_be_stored_refuses_the_batch_and_stores_nothing_of_it(lab: Lab) -> None:
    app = lab.database.connect("app")
    assert refused(app, UPSERT.replace("'{}'", "%s::jsonb"), uuid4(), '{"a": "\\u0000"}', "s") == "22P05"
    with pytest.raises(psycopg.DataError):
        app.execute(UPSERT, [uuid4(), "nul\0"])
    assert lab.value("SELECT count(*) FROM recovery_candidates") == 0
