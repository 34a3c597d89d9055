"""Sending an event again: the same row, at most one more delivery for a resend, whatever the leader does meanwhile."""

from dataclasses import replace
from datetime import timedelta

import psycopg
import pytest
from schema_kit import LEADER, Lab, at_once, in_background, refused

from m10actors.postgres import events
from m10actors.postgres.events import Resent
from m10actors.postgres.outbox import Completion
from m10actors.testing.database import MigratedDatabase

DENIED = psycopg.errors.InsufficientPrivilege.sqlstate


@pytest.fixture
def lab(database: MigratedDatabase) -> Lab:
    return Lab(database)


def resend(lab: Lab, event_id: int, *, delivered: bool = False) -> Resent:
    return events.resend(lab.database.pool("ops", size=1), event_id, "local:op", "fixed it", delivered=delivered)


def executed(lab: Lab, outcome: str) -> tuple[int, int]:
    """A candidate whose action was carried out by itself and ended so, and its event."""
    candidate_id = lab.open()
    applied = lab.evaluate(candidate_id, execute=True)
    assert applied is not None
    assert applied.event_id is not None
    lab.deliver(outcome, error="no" if outcome == "dead" else None)
    return candidate_id, applied.event_id


def recur(lab: Lab, candidate_id: int, *, execute: bool) -> None:
    """The next round of a candidate, evaluated."""
    lab.age(candidate_id, timedelta(hours=2))
    lab.repeat(candidate_id)
    lab.evaluate(candidate_id, execute=execute)


def test_a_dead_event_goes_again_under_its_key_with_its_bytes_and_the_execution_goes_on(lab: Lab) -> None:
    candidate_id = lab.open()
    lab.evaluate(candidate_id, execute=True)
    [before] = lab.claim(epoch := lab.lead())
    lab.complete(epoch, Completion(before.id, "failed", "no"))
    lab.sql.execute("UPDATE m10_recovery.outbox SET process_after = clock_timestamp()")
    lab.claim(epoch)
    lab.complete(epoch, Completion(before.id, "dead", "http_400"))
    assert lab.row(candidate_id).execution_status == "failed"

    sent = resend(lab, before.id)
    assert sent == Resent("resent", before.id, "webhook:recovery", "receiver", candidate_id, "executing")
    row = lab.row(candidate_id)
    assert (row.execution_status, row.closed_at, row.executed_at, row.execution_result) == (
        "executing",
        None,
        None,
        None,
    )
    [after] = lab.claim(epoch)
    assert replace(after, by_itself=True) == before  # by an operator's word now
    lab.complete(epoch, Completion(after.id, "delivered"))
    assert lab.row(candidate_id).execution_status == "succeeded"
    assert lab.provenance(candidate_id)[3:] == ["executed", "failure", "resent", "success"]


def test_who_and_why_are_kept_with_the_dead_letter(lab: Lab) -> None:
    _, event_id = executed(lab, "dead")
    resend(lab, event_id)
    account = events.event(lab.database.pool("ops"), event_id)
    assert account is not None
    [replay], [death] = account.resends, account.deaths
    assert (replay.by, replay.why, replay.dl_msg_id) == ("local:op", "fixed it", death.dl_msg_id)


def test_a_delivered_event_goes_again_only_when_asked_and_its_execution_stays_ended(lab: Lab) -> None:
    candidate_id, event_id = executed(lab, "delivered")
    assert resend(lab, event_id).outcome == "delivered"
    assert lab.event(event_id).processed_at is not None
    assert resend(lab, event_id, delivered=True).outcome == "resent"
    assert lab.row(candidate_id).execution_status == "succeeded"
    lab.deliver("dead", error="no")
    assert lab.row(candidate_id).execution_status == "succeeded"


def test_an_open_event_is_made_due_at_once_and_one_in_hand_is_left_alone(lab: Lab) -> None:
    event_id = lab.publish()
    lab.sql.execute(
        "UPDATE m10_recovery.outbox SET process_after = clock_timestamp() + interval '2 h', retry_count = 3"
    )
    assert resend(lab, event_id).outcome == "already_open"
    [claimed] = lab.claim(lab.lead())
    assert (claimed.id, claimed.retry_count) == (event_id, 3)
    before = lab.event(event_id)
    assert resend(lab, event_id).outcome == "already_open"
    assert lab.event(event_id) == before


def test_an_event_whose_candidate_has_published_its_next_round_is_history(lab: Lab) -> None:
    candidate_id, event_id = executed(lab, "dead")
    recur(lab, candidate_id, execute=True)
    assert resend(lab, event_id).outcome == "newer_round"
    lab.deliver("delivered")
    recur(lab, candidate_id, execute=False)  # the third round has not published, but the second had
    assert resend(lab, event_id).outcome == "newer_round"
    assert lab.event(event_id).dead_at is not None


def test_a_next_round_that_has_not_published_keeps_its_state(lab: Lab) -> None:
    candidate_id, event_id = executed(lab, "dead")
    recur(lab, candidate_id, execute=False)
    before = lab.row(candidate_id)
    assert resend(lab, event_id).outcome == "resent"
    lab.deliver("delivered")
    after = lab.row(candidate_id)
    assert (after.round, after.decision, after.execution_status) == (before.round, "pending", None)


def test_an_event_without_candidate_and_one_that_is_not_there(lab: Lab) -> None:
    event_id = lab.publish()
    lab.deliver("dead", error="no")
    assert resend(lab, event_id) == Resent("resent", event_id, "webhook:x", None, None, None)
    assert resend(lab, 404) == Resent("not_found", 404, None, None, None, None)


def test_of_many_resends_at_once_one_takes_effect(lab: Lab) -> None:
    _, event_id = executed(lab, "dead")
    ops = lab.database.pool("ops", size=8)
    done = at_once([lambda: events.resend(ops, event_id, "local:op", None).outcome] * 8)
    assert sorted(done) == ["already_open"] * 7 + ["resent"]
    assert lab.value("SELECT count(*) FROM m10_recovery.replay_log WHERE replayed_at IS NOT NULL") == 1


def test_beside_a_leader_that_delivers_each_resend_is_delivered_once(lab: Lab) -> None:
    _, event_id = executed(lab, "dead")
    ops, epoch = lab.database.pool("ops", size=4), lab.lead()

    def lead() -> int:
        claims = 0
        for _ in range(10):
            for claimed in lab.claim(epoch):
                claims += 1
                lab.complete(epoch, Completion(claimed.id, "delivered"))
        return claims

    done = at_once([*[lambda: events.resend(ops, event_id, "local:op", None).outcome] * 4, lead, lead])
    claims = sum(done[4:]) + lead()
    assert done[:4].count("resent") == 1
    assert set(done[:4]) <= {"resent", "already_open", "delivered"}
    assert claims == 1


def test_a_resend_waits_for_the_outcome_that_is_being_written(lab: Lab) -> None:
    event_id = lab.publish()
    [claimed] = lab.claim(epoch := lab.lead())
    app = lab.database.connect("app")
    with app.transaction():
        app.execute(
            """SELECT m10_recovery.complete_events(
                   %s, %s, %s, '{dead}', '{no}', ARRAY[NULL::interval], ARRAY[NULL::jsonb])""",
            [LEADER, epoch, [claimed.id]],
        )
        waiting = in_background(lambda: resend(lab, event_id))
        lab.until_somebody_waits()
    assert waiting.result(30).outcome == "resent"


def test_each_death_is_a_dead_letter_of_its_own_and_can_be_sent_again(lab: Lab) -> None:
    event_id = lab.publish()
    for _ in range(2):
        lab.deliver("dead", error="no")
        assert resend(lab, event_id).outcome == "resent"
    account = events.event(lab.database.pool("ops"), event_id)
    assert account is not None
    deaths, resends = account.deaths, account.resends
    assert [each.dl_msg_id for each in resends] == [each.dl_msg_id for each in deaths]
    assert len({each.dl_msg_id for each in deaths}) == 2


def test_the_longest_age_of_an_unreachable_event_begins_anew(lab: Lab) -> None:
    event_id = lab.publish()
    lab.sql.execute("UPDATE m10_recovery.outbox SET created_at = created_at - interval '4 days'")
    [settled] = lab.deliver("unreachable", error="refused")
    assert settled.state == "dead"
    resend(lab, event_id)
    [settled] = lab.deliver("unreachable", error="refused")
    assert settled.state == "retry"


def test_the_pipelines_own_role_may_not_send_again(lab: Lab) -> None:
    app = lab.database.connect("app")
    assert refused(app, "SELECT m10_recovery.resend_event(1, 'me', NULL, false)") == DENIED
