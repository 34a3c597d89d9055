"""How much is carried out without a person: caps, whatever is concurrent, and the stop switch inside SQL."""

import json
import threading
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from schema_kit import ACTION, ROUTES, Lab, at_once, in_background

from m10actors.ops.retention import Rule, retention
from m10actors.postgres import controls, evaluations, inputs
from m10actors.postgres.evaluations import Applied, Judged
from m10actors.postgres.pool import Database
from m10actors.recovery.decision import Decision
from m10actors.recovery.gates import Reason
from m10actors.recovery.pauses import Part
from m10actors.testing.database import MigratedDatabase
from m10actors.testing.waiting import eventually

Connection = psycopg.Connection[Any]


@pytest.fixture
def lab(database: MigratedDatabase) -> Lab:
    return Lab(database)


Asked = tuple[int, str, str | None]


def admit(lab: Lab, *asked: Asked, **limits: int) -> list[str | None]:
    """What is refused of executions that are to begin by themselves, in the order in which they are asked for: as
    (candidate, action, source).
    """
    statement = "SELECT m10_recovery.refusals(%s::bigint[], %s::text[], %s::text[], %s)"
    columns = [[each[column] for each in asked] for column in range(3)]
    with lab.database.connect("superuser") as connection:
        row = connection.execute(statement, [*columns, json.dumps(limits)]).fetchone()
    assert row is not None
    return [row[0].get(str(candidate)) for candidate, *_ in asked]


def opened(lab: Lab, count: int) -> list[int]:
    """The ids of so many candidates."""
    statement = """INSERT INTO public.recovery_candidates (failure_match_id, suggestion)
                   SELECT gen_random_uuid(), '' FROM generate_series(1, %s::int) RETURNING id"""
    return [row[0] for row in lab.sql.execute(statement, [count])]


def test_each_cap_is_kept_and_named_and_what_one_refuses_spends_no_other(lab: Lab) -> None:
    one, two, three, four, five, six = opened(lab, 6)
    asked: list[Asked] = [(one, "a", "s"), (two, "a", "s"), (three, "b", "s"), (four, "b", None), (five, "b", "u")]
    limits = {"source": 2, "action": 2, "total": 4}
    assert admit(lab, *asked, **limits) == [None, None, "capped: 2 an hour for source s", None, None]
    assert admit(lab, (six, "c", "v"), **limits) == ["capped: 4 an hour for all"]
    assert admit(lab, (six, "b", "v"), action=2) == ["capped: 2 an hour for action b"]


def test_without_a_cap_nothing_is_refused_and_nothing_at_all_is_nothing(lab: Lab) -> None:
    assert admit(lab, *[(each, "a", "s") for each in opened(lab, 3)]) == [None] * 3
    assert admit(lab) == []


@pytest.mark.parametrize(("by_itself", "minutes", "counts"), [(True, 59, True), (True, 61, False), (False, 1, False)])
def test_what_was_carried_out_for_a_candidate_by_itself_counts_for_an_hour(
    lab: Lab, by_itself: bool, minutes: int, counts: bool
) -> None:
    [candidate] = opened(lab, 1)
    lab.sql.execute(
        """INSERT INTO m10_recovery.execution (execution_id, candidate_id, round, generation, begun_by, begun_at,
                                               by_itself, status, ended_by, closed_at)
           VALUES (gen_random_uuid(), %s, 0, 1, 'rules', now() - make_interval(mins => %s), %s, 'succeeded', 'answer',
                   now())""",
        [candidate, minutes, by_itself],
    )
    refusal = f"capped: 1 an hour for candidate {candidate}"
    assert admit(lab, (candidate, "a", "s"), candidate=1) == [refusal if counts else None]


def test_what_was_admitted_counts_for_an_hour_wherever_that_begins(lab: Lab) -> None:
    [candidate] = opened(lab, 1)
    assert admit(lab, (candidate, "a", "s"), total=1) == [None]
    for age, refused in ((timedelta(minutes=59), "capped: 1 an hour for all"), (timedelta(minutes=6), None)):
        lab.sql.execute("UPDATE m10_recovery.admission_count SET slot = slot - %s", [age])
        assert admit(lab, (candidate, "a", "s"), total=1) == [refused]


CAPS = {"source": 40, "action": 30, "total": 50}


def test_workers_at_once_cannot_pass_a_cap_together_and_do_not_deadlock(lab: Lab) -> None:
    ids = opened(lab, 160)
    batches = [
        [(ids[n], f"a{n % 3}", f"s{n % 2}") for n in range(k * 20, k * 20 + 20)][:: 1 if k % 2 else -1]
        for k in range(8)
    ]
    answers = at_once([lambda batch=batch: admit(lab, *batch, **CAPS) for batch in batches] * 2)
    assert sum(refused is None for answer in answers for refused in answer) == 50
    used = lab.sql.execute("SELECT kind, name, sum(used) FROM m10_recovery.admission_count GROUP BY 1, 2").fetchall()
    assert all(count <= CAPS[kind] for kind, _, count in used)


def test_evaluations_at_once_begin_as_many_executions_as_there_is_room_for(lab: Lab) -> None:
    """Each judges by what is committed, and writes all of it before it counts: who counts too late writes again."""
    ids = opened(lab, 200)
    pools = [lab.database.pool("app") for _ in range(5)]
    batches = [ids[at::10] for at in range(10)]
    applied = at_once(
        [lambda batch=batch, pool=pools[n % 5]: evaluated(pool, batch, total=70) for n, batch in enumerate(batches)]
    )
    begun = [each for batch in applied for each in batch if each.event_id is not None]
    refused = {each.refused for batch in applied for each in batch if each.event_id is None}
    assert (len(begun), refused) == (70, {"capped: 70 an hour for all"})
    assert sum(len(batch) for batch in applied) == 200
    assert lab.value("SELECT count(*) FROM m10_recovery.execution") == 70
    assert lab.value("SELECT sum(used) FROM m10_recovery.admission_count WHERE kind = 'total'") == 70
    evaluations_of = "SELECT count(*) FROM m10_recovery.suggestion_provenance WHERE event_type = 'rule_evaluated'"
    assert lab.value(evaluations_of) == 200


def test_who_counts_after_another_has_taken_the_room_is_refused_and_leaves_no_trace_of_the_first_try(lab: Lab) -> None:
    first, second = opened(lab, 2)
    with lab.database.connect("superuser") as other, other.transaction():
        other.execute("""SELECT m10_recovery.refusals(ARRAY[%s::bigint], '{a}', '{s}', '{"total": 1}')""", [first])
        late = in_background(lambda: evaluated(lab.app, [second], total=1))
        lab.until_somebody_waits()
    [applied] = late.result(10)
    assert (applied.decision, applied.event_id, applied.refused) == ("pending", None, "capped: 1 an hour for all")
    assert lab.row(second).explain["reason"] == "capped"
    assert lab.value("SELECT count(*) FROM m10_recovery.outbox") == 0
    assert lab.provenance(second) == ["created", "rule_evaluated", "action_selected"]


def test_who_writes_again_does_not_deadlock_over_what_the_records_share(lab: Lab) -> None:
    """Both write the same two contexts; the first is undone while the second is between them."""
    first, second, third = opened(lab, 3)
    lock = "SELECT pg_advisory_xact_lock(hashtextextended('m10_recovery.admit_executions', 0))"
    share = "INSERT INTO m10_recovery.decision_context VALUES ('two', '{}')"
    counting, next_in_line, sharing, early, late = (lab.database.connect("superuser") for _ in range(5))
    for each in (counting, next_in_line, sharing):
        each.autocommit = False
    counting.execute("""SELECT m10_recovery.refusals(ARRAY[%s::bigint], '{a}', '{s}', '{"total": 1}')""", [first])
    sharing.execute(share)
    undone = in_background(lambda: written(early, second, {"one": {}}))
    eventually(lambda: blockers(lab, early) == [counting.info.backend_pid])
    waiting = in_background(lambda: written(late, third, {"one": {}, "two": {}}))
    eventually(lambda: blockers(lab, late))
    queued = in_background(lambda: next_in_line.execute(lock))
    eventually(lambda: blockers(lab, next_in_line))
    counting.commit()
    queued.result(10)
    eventually(lambda: blockers(lab, early) == [next_in_line.info.backend_pid])
    sharing.rollback()
    eventually(lambda: sharing.info.backend_pid not in blockers(lab, late) != [])
    next_in_line.commit()
    assert undone.result(10) == waiting.result(10) == "capped: 1 an hour for all"


def blockers(lab: Lab, connection: Connection) -> list[int]:
    """Whom this connection waits for."""
    found: list[int] = lab.value("SELECT pg_blocking_pids(%s)", connection.info.backend_pid)
    return found


def written(connection: Connection, candidate: int, contexts: dict[str, object]) -> str | None:
    """Writes an evaluation whose action is to be carried out by itself, one in all; why it is not."""
    row = connection.execute(
        """SELECT refused FROM m10_recovery.apply_evaluations(
               'w', ARRAY[%s::bigint], '{1}', '{1}', ARRAY[%s], '{0.9}', '{s}', '{"{}"}', '{"[]"}', '{"{}"}', '{t}',
               '{1}', %s, %s, '{"total": 1}', '{}')""",
        [candidate, ACTION, json.dumps(contexts), json.dumps(ROUTES)],
    ).fetchone()
    assert row is not None
    return row[0]


def test_where_no_room_is_left_nobody_waits_for_who_counts(lab: Lab) -> None:
    first, second = opened(lab, 2)
    admit(lab, (first, "a", "s"), total=1)
    with lab.database.connect("superuser") as other, other.transaction():
        other.execute("SELECT m10_recovery.refusals(ARRAY[%s::bigint], '{a}', '{s}', '{}')", [first])
        [applied] = evaluated(lab.app, [second], total=1)
    assert applied.refused == "capped: 1 an hour for all"


def evaluated(app: Database, ids: Sequence[int], **limits: int) -> list[Applied]:
    """Evaluates them in one batch, each with an action that is to be carried out by itself."""
    decision = Decision(ACTION, 0.9, 0.9, (), True, Reason.EXECUTES, "Retry it. It is carried out now.")
    read = inputs.read(app, ids)
    judged = [Judged(read[each].candidate, decision, 1) for each in ids]
    return evaluations.apply(app, "w", judged, ROUTES, (), limits)


def test_a_transaction_that_rolls_back_spends_nothing(lab: Lab) -> None:
    [candidate] = opened(lab, 1)
    with lab.database.connect("superuser") as connection, connection.transaction(force_rollback=True):
        connection.execute(
            """SELECT m10_recovery.refusals(ARRAY[%s::bigint], '{a}', '{s}', '{"total": 1}')""", [candidate]
        )
    assert admit(lab, (candidate, "a", "s"), total=1) == [None]


def test_old_counts_are_deleted_by_retention(lab: Lab) -> None:
    [candidate] = opened(lab, 1)
    admit(lab, (candidate, "a", "s"), total=9)
    lab.sql.execute("UPDATE m10_recovery.admission_count SET slot = slot - interval '3 hours'")
    admit(lab, (candidate, "a", "s"), total=9)
    job = retention(lab.database.pool("ops"), [Rule("admission_counts", "delete_admissions", timedelta(hours=2))], 100)
    assert job.run(threading.Event()) == {"admission_counts": 1}
    assert lab.value("SELECT sum(used) FROM m10_recovery.admission_count") == 1


def test_stopped_actions_are_refused_and_what_the_engine_published_is_not_claimed_but_a_persons_approval_is(
    lab: Lab,
) -> None:
    by_itself, approved = lab.open(), lab.open()
    before = lab.evaluate(by_itself, execute=True)
    lab.evaluate(approved)
    ops = lab.database.pool("ops")
    controls.pause(ops, [Part.ACTIONS], "ann", "it makes things worse", None)
    verdict = lab.approve(approved)
    assert admit(lab, (approved, "a", "s")) == ["stopped"]
    late = lab.open()
    refused = lab.evaluate(late, execute=True)
    assert refused is not None
    assert (refused.decision, refused.event_id, refused.refused) == ("pending", None, "stopped")
    assert lab.row(late).explain["reason"] == "stopped"
    epoch = lab.lead()
    [claimed] = lab.claim(epoch)
    assert (claimed.id, claimed.by_itself) == (verdict.event_id, False)
    controls.resume(ops, [Part.ACTIONS], "ann", None)
    [claimed] = lab.claim(epoch)
    assert before is not None
    assert (claimed.id, claimed.by_itself) == (before.event_id, True)
    assert lab.row(late).decision == "pending"  # it is not carried out later by itself


def test_what_a_person_sends_again_goes_out_although_actions_are_stopped(lab: Lab) -> None:
    candidate = lab.open()
    lab.evaluate(candidate, execute=True)
    [dead] = lab.deliver("dead", error="no")
    ops = lab.database.pool("ops")
    controls.pause(ops, [Part.ACTIONS], "ann", "it makes things worse", None)
    with lab.database.connect("ops") as connection:
        connection.execute("SELECT * FROM m10_recovery.resend_event(%s, 'ann', 'now', false)", [dead.event_id])
    assert [event.by_itself for event in lab.claim(lab.lead())] == [False]


def test_ten_thousand_different_failures_are_carried_out_up_to_the_cap(lab: Lab) -> None:
    """As evaluations write them: in batches, each of which asks for all of its executions."""
    asked: list[Asked] = [(each, ACTION, f"service-{each % 50}") for each in opened(lab, 10_000)]
    limits = {"candidate": 4, "source": 100, "action": 100, "total": 200}
    answers = [admit(lab, *asked[at : at + 500], **limits) for at in range(0, 10_000, 500)]
    assert sum(refused is None for answer in answers for refused in answer) == 100
    assert set(answers[-1]) == {f"capped: 100 an hour for action {ACTION}"}
