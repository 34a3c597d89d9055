"""How long a leader trusts itself."""

from datetime import timedelta

import pytest

from m10actors.recovery.lease import Lease, Renewal, Tenure, Terms

TERMS = Terms(ttl_seconds=15.0, margin_seconds=5.0)


def test_trust_begins_when_the_attempt_was_sent_not_when_it_was_answered() -> None:
    lease = Lease.granted(epoch=1, attempt_started=100.0, terms=TERMS)
    assert lease.is_trusted(109.9)
    assert not lease.is_trusted(110.0)


def test_a_slow_successful_renewal_does_not_extend_trust_past_its_own_start() -> None:
    lease = Lease.granted(epoch=1, attempt_started=100.0, terms=TERMS)
    renewed = lease.after(Renewal.RENEWED, attempt_started=105.0, terms=TERMS)
    assert renewed == Lease(epoch=1, trusted_until=115.0)


def test_an_error_is_neither_a_renewal_nor_a_loss() -> None:
    lease = Lease.granted(epoch=1, attempt_started=100.0, terms=TERMS)
    assert lease.after(Renewal.UNKNOWN, attempt_started=105.0, terms=TERMS) is lease


def test_a_lost_lease_is_gone_at_once() -> None:
    lease = Lease.granted(epoch=1, attempt_started=100.0, terms=TERMS)
    assert lease.after(Renewal.LOST, attempt_started=101.0, terms=TERMS) is None


def test_an_older_answer_that_comes_late_shortens_nothing() -> None:
    lease = Lease.granted(epoch=1, attempt_started=105.0, terms=TERMS)
    assert lease.after(Renewal.RENEWED, attempt_started=100.0, terms=TERMS) == lease


def test_what_remains_is_never_negative() -> None:
    lease = Lease.granted(epoch=1, attempt_started=100.0, terms=TERMS)
    assert [lease.remaining(now) for now in (100.0, 107.5, 110.0, 500.0)] == [10.0, 2.5, 0.0, 0.0]


@pytest.mark.parametrize(("ttl", "margin"), [(5.0, 5.0), (5.0, 6.0), (5.0, -1.0)])
def test_terms_without_room_for_their_margin_are_refused(ttl: float, margin: float) -> None:
    with pytest.raises(ValueError, match="no room"):
        Terms(ttl, margin)


def test_the_margin_is_a_fifth_of_the_ttl_and_two_seconds_at_most() -> None:
    assert Terms.of(timedelta(seconds=5)) == Terms(5.0, 1.0)
    assert Terms.of(timedelta(seconds=300)) == Terms(300.0, 2.0)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def tenure(clock: Clock) -> Tenure:
    return Tenure("l", "me", Lease.granted(1, clock.now, TERMS), TERMS, asker="me", clock=clock)


def test_errors_keep_a_tenure_until_its_window_ends_and_then_it_is_over() -> None:
    mine = tenure(clock := Clock())
    clock.now = 109.9
    mine.answered(Renewal.UNKNOWN, 105.0)
    assert mine.is_trusted
    clock.now = 110.0
    assert not mine.is_trusted
    assert not mine.over.is_set()  # an answer that is on its way may still renew it
    mine.answered(Renewal.UNKNOWN, 106.0)
    assert mine.over.is_set()


def test_a_renewal_that_was_answered_past_its_own_window_does_not_bring_a_tenure_back() -> None:
    mine = tenure(clock := Clock())
    clock.now = 120.0
    mine.answered(Renewal.RENEWED, 105.0)
    assert mine.over.is_set()


def test_a_renewal_in_time_is_trusted_from_when_it_was_asked_for() -> None:
    mine = tenure(clock := Clock())
    clock.now = 112.0
    mine.answered(Renewal.RENEWED, 108.0)
    assert mine.is_trusted
    clock.now = 118.0
    assert not mine.is_trusted


def test_nothing_begins_again_once_it_is_over() -> None:
    mine = tenure(clock := Clock())
    mine.end()
    mine.answered(Renewal.RENEWED, clock.now)
    assert not mine.is_trusted
    assert mine.over.is_set()


def test_a_lost_lease_ends_the_tenure_at_once() -> None:
    mine = tenure(clock := Clock())
    mine.answered(Renewal.LOST, clock.now)
    assert mine.over.is_set()
