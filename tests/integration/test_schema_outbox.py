"""The outbox: who claims what, what an attempt comes to, and what its end does to the candidate."""

from datetime import timedelta
from typing import Any

import psycopg
import pytest
from schema_kit import LEADER, Lab, at_once, refused

from m10actors.postgres.outbox import Completion
from m10actors.testing.database import MigratedDatabase

NOT_CLAIMER = "M1001"
COMPLETE = "SELECT m10_recovery.complete_outbox_event(%s, %s, %s, 'no')"


@pytest.fixture
def lab(database: MigratedDatabase) -> Lab:
    return Lab(database)


def claim(lab: Lab, processor: str = "p", limit: int = 10) -> list[Any]:
    return lab.sql.execute("SELECT * FROM m10_recovery.claim_outbox_events(%s, %s)", [processor, limit]).fetchall()


def wake(lab: Lab) -> None:
    lab.sql.execute("UPDATE m10_recovery.outbox SET process_after = clock_timestamp()")


def delay(lab: Lab, event: int) -> float:
    seconds = "extract(epoch FROM process_after - clock_timestamp())::float8"
    return float(lab.value(f"SELECT {seconds} FROM m10_recovery.outbox WHERE id = %s", event))


# For other programs


def test_publishing_belongs_to_the_callers_transaction_and_never_merges(lab: Lab) -> None:
    app = lab.database.connect("app")
    publish = "SELECT m10_recovery.publish_outbox('a', '1', 'webhook:x', '{}')"
    with app.transaction(force_rollback=True):
        app.execute(publish)
    app.execute(publish)
    app.execute(publish)
    assert lab.value("SELECT count(*) FROM m10_recovery.outbox") == 2


def test_a_claim_persists_and_only_its_claimer_completes_it_once(lab: Lab) -> None:
    event = lab.publish(payload='{"b": 1, "a": [2]}')
    [claimed] = claim(lab)
    assert (claimed.id, claimed.aggregate_type, claimed.payload) == (event, "thing", {"a": [2], "b": 1})
    assert claim(lab, "q") == []
    app = lab.database.connect("app")
    assert refused(app, COMPLETE, event, "q", True) == NOT_CLAIMER
    assert lab.event(event).processed_at is None
    app.execute(COMPLETE, [event, "p", True])
    row = lab.event(event)
    assert (row.processed_by, row.claimed_by, row.claimed_at) == ("p", None, None)
    assert refused(app, COMPLETE, event, "p", True) == NOT_CLAIMER
    assert refused(app, COMPLETE, 404, "p", True) == NOT_CLAIMER
    assert refused(app, COMPLETE, event, None, True) == NOT_CLAIMER


def test_other_programs_get_nothing_while_somebody_else_holds_the_lock(lab: Lab) -> None:
    lab.publish()
    lab.value("SELECT m10_recovery.acquire_lock('m10:outbox_processor', 'p', 60)")
    assert claim(lab, "q") == []
    assert lab.sql.execute("SELECT * FROM m10_recovery.claim_outbox_events(NULL)").fetchall() == []
    assert len(claim(lab, "p")) == 1
    lab.sql.execute("UPDATE m10_recovery.outbox SET claimed_at = NULL, claimed_by = NULL")
    lab.sql.execute("UPDATE m10_recovery.distributed_locks SET expires_at = clock_timestamp()")
    assert len(claim(lab, "q")) == 1


def test_a_failure_is_retried_on_the_schedule_and_the_sixth_is_the_dead_letter(lab: Lab) -> None:
    event = lab.publish(payload='{"n": 1}')
    app = lab.database.connect("app")
    for expected in (30, 120, 480, 1920, 7200):
        assert len(claim(lab)) == 1
        app.execute(COMPLETE, [event, "p", False])
        assert expected * 0.89 < delay(lab, event) <= expected * 1.11
        assert claim(lab) == []
        wake(lab)
    row = lab.event(event)
    assert (row.retry_count, row.dead_at, row.last_error) == (5, None, "no")
    assert lab.value("SELECT count(*) FROM m10_recovery.dead_letter_archive") == 0
    assert claim(lab)[0].retry_count == 5
    app.execute(COMPLETE, [event, "p", False])
    assert lab.event(event).dead_at is not None
    letters = lab.sql.execute("SELECT event_id, payload, reason FROM m10_recovery.dead_letter_archive").fetchall()
    assert letters == [(event, {"n": 1}, "no")]
    wake(lab)
    assert claim(lab) == []
    assert lab.value("SELECT outbox_pending FROM m10_recovery.metrics_depths") == 0


def test_a_claim_of_five_minutes_ago_may_be_taken_over(lab: Lab) -> None:
    event = lab.publish()
    claim(lab, "p")
    lab.sql.execute("UPDATE m10_recovery.outbox SET claimed_at = claimed_at - interval '299 s'")
    assert claim(lab, "q") == []
    lab.sql.execute("UPDATE m10_recovery.outbox SET claimed_at = claimed_at - interval '2 s'")
    assert len(claim(lab, "q")) == 1
    assert refused(lab.database.connect("app"), COMPLETE, event, "p", True) == NOT_CLAIMER


def test_the_events_of_one_aggregate_come_one_at_a_time_and_in_order(lab: Lab) -> None:
    first, second, third, other = lab.publish("1"), lab.publish("1"), lab.publish("1"), lab.publish("2")
    assert [row.id for row in claim(lab)] == [first, other]
    assert claim(lab, "q") == []
    app = lab.database.connect("app")
    app.execute(COMPLETE, [first, "p", False])
    assert claim(lab) == []  # the first waits for its retry, and the others for the first
    wake(lab)
    claim(lab)
    app.execute(COMPLETE, [first, "p", True])
    assert [row.id for row in claim(lab)] == [second]
    app.execute(COMPLETE, [second, "p", True])
    assert [row.id for row in claim(lab)] == [third]


def test_processors_that_claim_at_once_share_the_events(lab: Lab) -> None:
    lab.sql.execute(
        "SELECT m10_recovery.publish_outbox('a', n::text, 'webhook:x', '{}') FROM generate_series(1, 100) n"
    )
    connections = [lab.database.connect("app") for _ in range(8)]
    tasks = [
        lambda n=n, one=one: one.execute(
            "SELECT id FROM m10_recovery.claim_outbox_events(%s, 20)", [f"p{n}"]
        ).fetchall()
        for n, one in enumerate(connections)
    ]
    claimed = [row for rows in at_once(tasks) for row in rows]
    assert len(claimed) == len(set(claimed))


# For the engine


def test_a_newer_epoch_takes_over_the_claims_of_an_older_one(lab: Lab) -> None:
    event = lab.publish()
    assert len(lab.claim(lab.lead())) == 1
    assert lab.claim(lab.lead()) == []  # renewed, the same epoch
    lab.sql.execute("UPDATE m10_recovery.distributed_locks SET expires_at = clock_timestamp()")
    new = lab.lead("host:2:def/outbox_leader")
    [claimed] = lab.claim(new, "host:2:def/outbox_leader")
    assert claimed.id == event
    assert lab.complete(new, Completion(event, "delivered"), holder="host:2:def/outbox_leader")[0].state == "done"


def test_a_claim_carries_the_key_that_is_the_same_on_each_attempt(lab: Lab) -> None:
    event = lab.publish("7", payload='{"b": 1, "a": 2}')
    epoch = lab.lead()
    first = lab.claim(epoch)[0]
    lab.complete(epoch, Completion(event, "failed", delay=timedelta(0)))
    again = lab.claim(epoch)[0]
    assert (again.idempotency_key, again.payload, again.event_uuid) == (
        first.idempotency_key,
        first.payload,
        first.event_uuid,
    )
    computed = "left(encode(sha256(format('%%s:%%s:thing:7:webhook:x', installation, %s::bigint)::bytea), 'hex'), 32)"
    assert lab.value(f"SELECT {computed} FROM m10_recovery.settings", event) == first.idempotency_key


def test_each_outcome_has_its_effect(lab: Lab) -> None:
    ids = [lab.publish(str(n)) for n in range(6)]
    epoch = lab.lead()
    lab.claim(epoch)
    hour = timedelta(hours=1)
    settled = lab.complete(
        epoch,
        Completion(ids[0], "delivered"),
        Completion(ids[1], "running"),
        Completion(ids[2], "failed", "503", delay=hour),
        Completion(ids[3], "unreachable", "refused"),
        Completion(ids[4], "dead", "400"),
    )
    assert {each.event_id: each.state for each in settled} == dict(
        zip(ids[:5], ("done", "done", "retry", "retry", "dead"), strict=True)
    )
    counts = [(lab.event(event).retry_count, lab.event(event).unreachable_count) for event in ids]
    assert counts == [(0, 0), (0, 0), (1, 0), (0, 1), (0, 0), (0, 0)]
    assert 3590 < delay(lab, ids[2]) <= 3600  # what Retry-After asked for, not the schedule
    assert 0 < delay(lab, ids[3]) <= 2
    assert [lab.event(event).claimed_by for event in ids] == [None] * 5 + [LEADER]
    assert lab.complete(epoch, Completion(ids[0], "delivered"), Completion(404, "delivered")) == []


def test_what_cannot_be_reached_waits_longer_and_longer_and_dies_of_age_only(lab: Lab) -> None:
    event = lab.publish()
    lab.sql.execute("UPDATE m10_recovery.outbox SET unreachable_count = 2000000000 - 1")
    lab.deliver("unreachable", error="refused")
    assert 290 < delay(lab, event) <= 300
    wake(lab)
    lab.sql.execute("UPDATE m10_recovery.outbox SET created_at = created_at - interval '3 days'")
    assert [each.state for each in lab.deliver("unreachable", error="refused")] == ["dead"]


def test_a_paused_destination_holds_back_its_own_events_only(lab: Lab) -> None:
    held, free = lab.publish("1", destination="gone"), lab.publish("2", destination="here")
    lab.sql.execute("INSERT INTO m10_recovery.paused_destination (name, reason) VALUES ('gone', '410')")
    epoch = lab.lead()
    assert [event.id for event in lab.claim(epoch)] == [free]
    lab.database.connect("ops").execute("DELETE FROM m10_recovery.paused_destination")
    assert [event.id for event in lab.claim(epoch)] == [held]


@pytest.mark.parametrize(
    ("outcome", "status"), [("delivered", "succeeded"), ("dead", "failed"), ("running", "executing")]
)
def test_the_end_of_an_event_is_the_end_of_the_execution(lab: Lab, outcome: str, status: str) -> None:
    candidate = lab.open()
    lab.evaluate(candidate)
    lab.approve(candidate)
    lab.deliver(outcome, error="why", result={"code": 7})
    row = lab.row(candidate)
    assert row.execution_status == status
    assert (row.closed_at is None) == (row.executed_at is None) == (outcome == "running")
    if outcome == "dead":
        assert row.execution_result == {"code": 7, "error": "why"}
    rated = lab.sql.execute(
        "SELECT total_applications, unknown_applications FROM m10_recovery.suggestion_action WHERE id = %s",
        [row.selected_action_id],
    ).fetchone()
    assert rated == {"delivered": (1, 1), "dead": (1, 0), "running": (0, 0)}[outcome]


def test_a_retry_leaves_the_execution_open(lab: Lab) -> None:
    candidate = lab.open()
    lab.evaluate(candidate, execute=True)
    lab.deliver("failed", error="503")
    assert lab.row(candidate).execution_status == "executing"


def test_an_event_named_twice_in_one_completion_is_settled_once(lab: Lab) -> None:
    event = lab.publish()
    epoch = lab.lead()
    lab.claim(epoch)
    assert len(lab.complete(epoch, Completion(event, "failed"), Completion(event, "failed"))) == 1
    assert lab.event(event).retry_count == 1


def test_an_empty_completion_and_an_unusable_schedule(lab: Lab) -> None:
    assert lab.complete(lab.lead(), *[]) == []
    configure = "SELECT m10_recovery.configure(%s::jsonb)"
    for schedule in ("[]", "[null]", "null"):
        state = refused(lab.database.connect("app"), configure, f'{{"retry_schedule": {schedule}}}')
        assert state in (psycopg.errors.CheckViolation.sqlstate, psycopg.errors.NotNullViolation.sqlstate)


# The history of attempts


def test_each_attempt_enters_the_history_and_the_dead_letter_has_all_of_it(lab: Lab) -> None:
    event = lab.publish()
    lab.deliver("unreachable", error="refused", delay=timedelta(0), attempt={"ms": 3})
    lab.deliver("dead", error="http_400", attempt={"ms": 12, "status": 400, "answer": "no"})
    first, second = lab.event(event).attempts
    assert {key: value for key, value in first.items() if key != "at"} == {
        "number": 1, "outcome": "unreachable", "error": "refused", "ms": 3,
    }  # fmt: skip
    assert {key: value for key, value in second.items() if key != "at"} == {
        "number": 2, "outcome": "dead", "error": "http_400", "ms": 12, "status": 400, "answer": "no",
    }  # fmt: skip
    assert first["at"] < second["at"]
    assert lab.value("SELECT attempts FROM m10_recovery.dead_letter_archive") == [first, second]


def test_the_history_keeps_the_newest_attempts_and_their_numbers(lab: Lab) -> None:
    event = lab.publish()
    for _ in range(23):
        lab.deliver("unreachable", error="x" * 3000, delay=timedelta(0))
    attempts = lab.event(event).attempts
    assert [each["number"] for each in attempts] == list(range(4, 24))
    assert {len(each["error"]) for each in attempts} == {500}


def test_what_another_program_completes_has_a_history_too(lab: Lab) -> None:
    event = lab.publish()
    claim(lab)
    lab.database.connect("app").execute(COMPLETE, [event, "p", False])
    [attempt] = lab.event(event).attempts
    assert (attempt["outcome"], attempt["error"]) == ("failed", "no")


def test_a_receiver_that_is_gone_is_paused_with_the_death_of_its_event(lab: Lab) -> None:
    gone, nowhere = lab.publish("1", destination="crm"), lab.publish("2")
    epoch = lab.lead()
    lab.claim(epoch)
    settled = lab.complete(epoch, Completion(gone, "gone", "http_410"), Completion(nowhere, "gone", "http_410"))
    assert [each.state for each in settled] == ["dead", "dead"]
    paused = lab.sql.execute("SELECT name, reason FROM m10_recovery.paused_destination").fetchall()
    assert paused == [("crm", "http_410")]
