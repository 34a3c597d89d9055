"""How long a leader trusts itself."""

import pytest

from m10actors.recovery.lease import Lease, Renewal, Terms

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
