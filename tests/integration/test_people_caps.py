"""How much is carried out without a person: caps, whatever is concurrent, and the stop switch inside SQL."""

import json
import threading
from datetime import timedelta

import pytest
from schema_kit import ACTION, Lab, at_once

from m10actors.ops.retention import Rule, retention
from m10actors.postgres import controls
from m10actors.recovery.pauses import Part
from m10actors.testing.database import MigratedDatabase


@pytest.fixture
def lab(database: MigratedDatabase) -> Lab:
    return Lab(database)


Asked = tuple[int, str, str | None]


def admit(lab: Lab, *asked: Asked, **limits: int) -> list[str | None]:
    """What is refused, in the order in which it was asked for."""
    statement = "SELECT refused FROM m10_recovery.admit_executions(%s::bigint[], %s::text[], %s::text[], %s)"
    columns = [[each[column] for each in asked] for column in range(3)]
    with lab.database.connect("app") as connection:
        return [row[0] for row in connection.execute(statement, [*columns, json.dumps(limits)])]


def test_each_cap_is_kept_and_named_and_what_one_refuses_spends_no_other(lab: Lab) -> None:
    asked: list[Asked] = [(1, "a", "s"), (1, "a", "t"), (2, "a", "s"), (3, "b", "s"), (4, "b", None), (5, "b", "u")]
    assert admit(lab, *asked, candidate=1, source=2, action=2, total=4) == [
        None,
        "capped: 1 an hour for candidate 1",
        None,
        "capped: 2 an hour for source s",
        None,
        None,
    ]
    assert admit(lab, (6, "c", "v"), candidate=1, source=2, action=2, total=4) == ["capped: 4 an hour for all"]
    assert admit(lab, (6, "b", "v"), action=2) == ["capped: 2 an hour for action b"]


def test_without_a_cap_nothing_is_refused_and_nothing_at_all_is_nothing(lab: Lab) -> None:
    assert admit(lab, *[(1, "a", "s")] * 3) == [None] * 3
    assert admit(lab) == []


def test_what_was_admitted_counts_for_an_hour_wherever_that_begins(lab: Lab) -> None:
    assert admit(lab, (1, "a", "s"), total=1) == [None]
    for age, refused in ((timedelta(minutes=59), "capped: 1 an hour for all"), (timedelta(minutes=6), None)):
        lab.sql.execute("UPDATE m10_recovery.admission_count SET slot = slot - %s", [age])
        assert admit(lab, (1, "a", "s"), total=1) == [refused]


def test_workers_at_once_cannot_pass_a_cap_together_and_do_not_deadlock(lab: Lab) -> None:
    batches = [
        [(n, f"a{n % 3}", f"s{n % 2}") for n in range(k * 20, k * 20 + 20)][:: 1 if k % 2 else -1] for k in range(8)
    ]
    answers = at_once([lambda batch=batch: admit(lab, *batch, source=40, action=30, total=50) for batch in batches] * 2)
    assert sum(refused is None for answer in answers for refused in answer) == 50
    used = lab.sql.execute("SELECT kind, name, sum(used) FROM m10_recovery.admission_count GROUP BY 1, 2").fetchall()
    assert all(count <= {"source": 40, "action": 30, "total": 50}[kind] for kind, _, count in used)


def test_a_transaction_that_rolls_back_spends_nothing(lab: Lab) -> None:
    with lab.database.connect("app") as connection, connection.transaction(force_rollback=True):
        connection.execute("""SELECT * FROM m10_recovery.admit_executions('{1}', '{a}', '{s}', '{"total": 1}')""")
    assert admit(lab, (1, "a", "s"), total=1) == [None]


def test_old_counts_are_deleted_by_retention(lab: Lab) -> None:
    admit(lab, (1, "a", "s"), total=9)
    lab.sql.execute("UPDATE m10_recovery.admission_count SET slot = slot - interval '3 hours'")
    admit(lab, (1, "a", "s"), total=9)
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
    assert admit(lab, (1, "a", "s")) == ["stopped"]
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
    asked: list[Asked] = [(n, ACTION, f"service-{n % 50}") for n in range(10_000)]
    limits = {"candidate": 4, "source": 100, "action": 100, "total": 200}
    answers = [admit(lab, *asked[at : at + 500], **limits) for at in range(0, 10_000, 500)]
    assert sum(refused is None for answer in answers for refused in answer) == 100
    assert set(answers[-1]) == {f"capped: 100 an hour for action {ACTION}"}
