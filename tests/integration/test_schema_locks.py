"""Locks: who holds one, until when, in which epoch, and what the fence lets through."""

from datetime import timedelta

import psycopg
import pytest
from schema_kit import LEADER, Lab, at_once, refused

from m10actors.postgres import evaluations, locks
from m10actors.postgres.errors import LeaseLost, StoreRefused
from m10actors.postgres.outbox import OUTBOX_LOCK, Completion
from m10actors.recovery.lease import Renewal, Terms
from m10actors.testing.database import MigratedDatabase

MINUTE = timedelta(minutes=1)
BAD_TTL = psycopg.errors.InvalidParameterValue.sqlstate


@pytest.fixture
def lab(database: MigratedDatabase) -> Lab:
    return Lab(database)


def expire(lab: Lab) -> None:
    lab.sql.execute("UPDATE m10_recovery.distributed_locks SET expires_at = clock_timestamp() - interval '1 ms'")


def test_a_free_lock_is_taken_renewed_by_its_holder_and_refused_to_others(lab: Lab) -> None:
    acquire = "SELECT m10_recovery.acquire_lock('l', %s, 60)"
    assert lab.value(acquire, "me")
    assert lab.value(acquire, "me")
    assert not lab.value(acquire, "you")
    assert not lab.value("SELECT m10_recovery.extend_lock('l', 'you')")
    assert not lab.value("SELECT m10_recovery.release_lock('l', 'you')")
    assert lab.value("SELECT m10_recovery.extend_lock('l', 'me')")
    assert lab.value("SELECT m10_recovery.release_lock('l', 'me')")
    assert not lab.value("SELECT m10_recovery.release_lock('l', 'me')")
    assert lab.value(acquire, "you")


def test_a_renewal_moves_the_expiry_and_keeps_the_time_of_taking(lab: Lab) -> None:
    row = "SELECT acquired_at, expires_at FROM m10_recovery.distributed_locks"
    lab.value("SELECT m10_recovery.acquire_lock('l', 'me', 60)")
    taken, until = lab.sql.execute(row).fetchone() or (None, None)
    lab.value("SELECT m10_recovery.acquire_lock('l', 'me', 120)")
    taken_again, until_again = lab.sql.execute(row).fetchone() or (None, None)
    assert taken_again == taken
    assert until_again > until


def test_an_expired_lock_is_taken_by_anyone_and_extended_by_nobody(lab: Lab) -> None:
    lab.value("SELECT m10_recovery.acquire_lock('l', 'me', 60)")
    expire(lab)
    assert not lab.value("SELECT m10_recovery.extend_lock('l', 'me')")
    assert lab.value("SELECT m10_recovery.acquire_lock('l', 'you', 60)")
    assert not lab.value("SELECT m10_recovery.acquire_lock('l', 'me', 60)")


def test_the_epoch_grows_with_every_change_and_outlives_the_row(lab: Lab) -> None:
    def take(holder: str) -> int | None:
        return locks.acquire(lab.app, "l", holder, MINUTE)

    assert [take("me"), take("me"), take("you")] == [1, 1, None]
    expire(lab)
    assert take("me") == 2  # its own, but there was a gap in which it was nobody's
    expire(lab)
    assert take("you") == 3
    assert locks.release(lab.app, "l", "you", 3)
    assert take("you") == 4
    expire(lab)
    assert lab.value("SELECT m10_recovery.cleanup_expired_locks()") == 1
    assert take("me") == 5


def test_an_old_epoch_neither_renews_nor_releases(lab: Lab) -> None:
    locks.acquire(lab.app, "l", "me", MINUTE)
    expire(lab)
    assert locks.acquire(lab.app, "l", "me", MINUTE) == 2
    assert locks.renew(lab.app, "l", "me", 1, MINUTE) is Renewal.LOST
    assert not locks.release(lab.app, "l", "me", 1)
    assert locks.renew(lab.app, "l", "me", 2, MINUTE) is Renewal.RENEWED


def test_an_expired_lock_is_not_renewed_even_if_nobody_took_it(lab: Lab) -> None:
    locks.acquire(lab.app, "l", "me", MINUTE)
    expire(lab)
    assert locks.renew(lab.app, "l", "me", 1, MINUTE) is Renewal.LOST


def test_a_renewal_that_meets_an_open_transaction_does_not_wait_and_is_no_loss(lab: Lab) -> None:
    locks.acquire(lab.app, "l", "me", MINUTE)
    other = lab.database.connect("app")
    with other.transaction(force_rollback=True):
        other.execute("SELECT m10_recovery.acquire_lock('l', 'me', 60)")
        assert locks.renew(lab.app, "l", "me", 1, MINUTE) is Renewal.UNKNOWN
        assert lab.value("SELECT m10_recovery.extend_lock('l', 'me')") is False
    assert locks.renew(lab.app, "l", "me", 1, MINUTE) is Renewal.RENEWED


def test_who_stands_by_writes_nothing(lab: Lab) -> None:
    locks.acquire(lab.app, "l", "me", MINUTE)
    row = "SELECT xmin::text || ' ' || xmax::text || ' ' || ctid::text FROM m10_recovery.distributed_locks"
    before = lab.value(row)
    assert locks.acquire(lab.app, "l", "you", MINUTE) is None
    assert lab.value(row) == before


def test_a_tenure_lasts_from_its_beginning_to_its_end_and_is_of_one_epoch(lab: Lab) -> None:
    terms = Terms.of(MINUTE)
    first = locks.begin(lab.app, "l", "me", terms, asker="me")
    assert first is not None
    assert (first.epoch, first.is_trusted) == (1, True)
    assert locks.begin(lab.app, "l", "you", terms, asker="you") is None
    assert locks.end(lab.app, first)
    assert not first.is_trusted
    second = locks.begin(lab.app, "l", "you", terms, asker="you")
    assert second is not None
    assert second.epoch == 2
    assert not locks.end(lab.app, first)  # late: it ends nobody else's
    assert locks.renew(lab.app, "l", "you", 2, MINUTE) is Renewal.RENEWED


def test_after_a_restore_every_epoch_is_above_whatever_was_given_before(lab: Lab) -> None:
    old = lab.lead()
    lab.publish()
    [claimed] = lab.claim(old)
    seconds = lab.value("SELECT extract(epoch FROM clock_timestamp())::bigint")
    ops = lab.database.pool("ops")
    [(name, before, after)] = locks.bump_epochs(ops)
    assert (name, before) == (OUTBOX_LOCK, old)
    assert after >= seconds
    assert locks.bump_epochs(ops)[0][2] > after
    with pytest.raises(LeaseLost):  # whoever led when it was raised
        lab.complete(old, Completion(claimed.id, "delivered"))
    assert locks.renew(lab.app, OUTBOX_LOCK, LEADER, old, MINUTE) is Renewal.LOST
    assert len(lab.claim(lab.lead())) == 1  # and what it had claimed is taken over


def test_a_database_that_never_had_a_leader_begins_above_all_epochs_too(lab: Lab) -> None:
    [(name, before, after)] = locks.bump_epochs(lab.database.pool("ops"))
    assert (name, before) == (OUTBOX_LOCK, None)
    assert lab.lead() == after + 1


@pytest.mark.parametrize("held", [True, False], ids=["taken over", "taken first"])
def test_taking_never_waits_for_an_open_transaction(lab: Lab, held: bool) -> None:
    if held:
        lab.value("SELECT m10_recovery.acquire_lock('l', 'me', 60)")
        expire(lab)
    other = lab.database.connect("app")
    with other.transaction(force_rollback=True):
        other.execute("SELECT m10_recovery.acquire_lock('l', 'you', 60)")
        assert lab.value("SELECT m10_recovery.acquire_lock('l', 'me', 60)") is False
    assert lab.value("SELECT m10_recovery.acquire_lock('l', 'me', 60)")


def test_of_many_that_take_at_once_one_gets_it(lab: Lab) -> None:
    pool = lab.database.pool("app", size=8)
    for _ in range(10):
        epochs = at_once([lambda n=n: locks.acquire(pool, "l", f"holder-{n}", MINUTE) for n in range(8)])
        assert sum(epoch is not None for epoch in epochs) == 1
        expire(lab)
    assert lab.value("SELECT epoch FROM m10_recovery.lock_epoch WHERE lock_name = 'l'") == 10


@pytest.mark.parametrize("seconds", [-5, 0, 86_401, 2_147_483_647])
def test_a_ttl_out_of_bounds_is_refused(lab: Lab, seconds: int) -> None:
    app = lab.database.connect("app")
    assert refused(app, "SELECT m10_recovery.acquire_lock('l', 'me', %s)", seconds) == BAD_TTL
    lab.value("SELECT m10_recovery.acquire_lock('l', 'me', 60)")
    assert refused(app, "SELECT m10_recovery.extend_lock('l', 'me', %s)", seconds) == BAD_TTL


def test_a_lock_without_name_holder_or_ttl_is_refused(lab: Lab) -> None:
    for name, holder, ttl in (("l", "me", None), ("l", None, MINUTE), (None, "me", MINUTE)):
        with pytest.raises(StoreRefused):
            lab.app.rows("acquire_lease", {"name": name, "holder": holder, "ttl": ttl})


def test_clean_up_deletes_expired_locks_only_and_waits_for_none(lab: Lab) -> None:
    for name in ("old", "busy"):
        lab.value("SELECT m10_recovery.acquire_lock(%s, 'me', 60)", name)
    expire(lab)
    lab.value("SELECT m10_recovery.acquire_lock('live', 'me', 60)")
    other = lab.database.connect("app")
    with other.transaction(force_rollback=True):
        other.execute("SELECT m10_recovery.acquire_lock('busy', 'you', 60)")
        assert lab.value("SELECT m10_recovery.cleanup_expired_locks()") == 1
    assert lab.value("SELECT array_agg(lock_name ORDER BY 1) FROM m10_recovery.distributed_locks") == ["busy", "live"]


def test_the_fence_stops_a_leader_that_was_paused_past_its_lease(lab: Lab) -> None:
    event = lab.publish()
    old = lab.lead()
    [claimed] = lab.claim(old)
    expire(lab)
    for late in (lambda: lab.claim(old), lambda: lab.complete(old, Completion(claimed.id, "delivered"))):
        with pytest.raises(LeaseLost) as caught:
            late()
        assert caught.value.sqlstate == "M1002"
    new = lab.lead("host:2:def/outbox_leader")
    with pytest.raises(LeaseLost):
        lab.complete(old, Completion(claimed.id, "delivered"))
    with pytest.raises(LeaseLost):
        lab.claim(new)  # the epoch alone is not enough: the holder counts too
    assert lab.event(event).processed_at is None


def test_a_lease_in_use_by_a_write_changes_hands_only_after_it(lab: Lab) -> None:
    epoch = lab.lead()
    writing = lab.database.connect("app")
    with writing.transaction():
        writing.execute("SELECT * FROM m10_recovery.claim_events(%s, %s, 10)", [LEADER, epoch])
        expire(lab)
        assert locks.acquire(lab.app, OUTBOX_LOCK, "another", MINUTE) is None
    assert locks.acquire(lab.app, OUTBOX_LOCK, "another", MINUTE) == epoch + 1


def test_a_renewal_does_not_wait_for_a_write_that_the_fence_let_through(lab: Lab) -> None:
    epoch = lab.lead()
    writing = lab.database.connect("app")
    with writing.transaction():
        writing.execute("SELECT * FROM m10_recovery.claim_events(%s, %s, 10)", [LEADER, epoch])
        assert locks.renew(lab.app, OUTBOX_LOCK, LEADER, epoch, MINUTE) is Renewal.RENEWED


def test_what_the_dead_held_is_free_at_once(lab: Lab) -> None:
    dead, alive = "host:1:dead", "host:1:dea"
    for holder in (f"{dead}/leader", f"{alive}/leader"):
        locks.acquire(lab.app, holder, holder, MINUTE)
    lab.publish()
    lab.claim(lab.lead(f"{dead}/outbox_leader"), f"{dead}/outbox_leader")
    for candidate, worker in ((1, f"{dead}/claim_worker.1"), (2, f"{alive}/claim_worker.1")):
        lab.value("SELECT m10_recovery.enqueue_work(%s)", candidate)
        lab.sql.execute("SELECT m10_recovery.claim_work(%s)", [worker])
        evaluations.begin_attempts(lab.app, worker, [(candidate, 1)], MINUTE)
    assert evaluations.take_over(lab.app, [dead]) == (2, 1, 1, 1)
    assert evaluations.take_over(lab.app, [dead]) == (0, 0, 0, 1)
    assert lab.value("SELECT claimed_at FROM m10_recovery.outbox") is None
    assert lab.value("SELECT array_agg(claimed_by) FROM m10_recovery.work_queue WHERE claimed_at IS NOT NULL") == [
        f"{alive}/claim_worker.1"
    ]
    attempts = evaluations.begin_attempts(lab.app, "another", [(1, 1), (2, 1)], MINUTE)
    assert attempts == {(1, 1): 2}


def test_a_single_child_is_taken_over_without_its_siblings(lab: Lab) -> None:
    for child in ("host:1:abc/a", "host:1:abc/b"):
        locks.acquire(lab.app, child, child, MINUTE)
    assert evaluations.take_over(lab.app, ["host:1:abc/a"]) == (1, 0, 0, 0)
    assert evaluations.take_over(lab.app, []) == (0, 0, 0, 0)
    assert lab.value("SELECT array_agg(lock_name) FROM m10_recovery.distributed_locks") == ["host:1:abc/b"]
