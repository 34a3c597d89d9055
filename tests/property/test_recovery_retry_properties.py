"""Delays stay within their bounds, and trust within the lease."""

from datetime import UTC, datetime, timedelta
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from m10actors.recovery.lease import Lease, Renewal, Terms
from m10actors.recovery.retry import (
    DELIVERY_SCHEDULE,
    RECLAIM_MAX,
    RETRY_AFTER_MAX,
    RETRY_AFTER_MIN,
    next_delay,
    reclaim_idle,
    retry_after,
)

NOW = datetime(2026, 7, 1, tzinfo=UTC)


@given(st.integers(0, 20), st.floats(0, 1), st.integers())
def test_jitter_stays_within_its_share_of_the_schedule(retry_count: int, jitter: float, seed: int) -> None:
    delay = next_delay(retry_count, DELIVERY_SCHEDULE, jitter, Random(seed))
    if retry_count >= len(DELIVERY_SCHEDULE):
        assert delay is None
    else:
        assert delay is not None
        planned, tolerance = DELIVERY_SCHEDULE[retry_count], timedelta(microseconds=1)
        assert planned * (1 - jitter) - tolerance <= delay <= planned * (1 + jitter) + tolerance


@given(st.integers(1, 10**9))
def test_a_reclaim_never_comes_sooner_than_the_one_before_nor_waits_for_more_than_a_day(attempts: int) -> None:
    assert reclaim_idle(attempts) <= reclaim_idle(attempts + 1) <= RECLAIM_MAX


@given(st.text() | st.from_regex(r"[A-Z][a-z]{2}, \d{1,2} [A-Z][a-z]{2} \d{1,6} \d\d:\d\d:\d\d ([+-]\d{4}|GMT)"))
def test_any_retry_after_is_ignored_or_clamped(header: str) -> None:
    wanted = retry_after(header, NOW)
    assert wanted is None or RETRY_AFTER_MIN <= wanted <= RETRY_AFTER_MAX


@given(
    st.floats(0.1, 3_600),
    st.floats(0, 0.99),
    st.lists(st.tuples(st.sampled_from([Renewal.RENEWED, Renewal.UNKNOWN]), st.floats(0, 100)), max_size=20),
)
def test_trust_ends_a_margin_before_the_last_granted_lease(
    ttl: float, share: float, renewals: list[tuple[Renewal, float]]
) -> None:
    terms = Terms(ttl, ttl * share)
    lease, now, granted = Lease.granted(1, 0.0, terms), 0.0, 0.0
    for renewal, pause in renewals:
        now += pause
        granted = now if renewal is Renewal.RENEWED else granted
        after = lease.after(renewal, now, terms)
        assert after is not None
        lease = after
    assert lease.trusted_until == terms.trusted_until(granted)
    assert not lease.is_trusted(granted + ttl)
