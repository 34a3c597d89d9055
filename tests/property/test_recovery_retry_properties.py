"""Delays stay within their bounds, and trust within the lease."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from m10actors.recovery.lease import Lease, Renewal, Terms
from m10actors.recovery.retry import RETRY_AFTER_MAX, RETRY_AFTER_MIN, ReclaimBackoff, retry_after

NOW = datetime(2026, 7, 1, tzinfo=UTC)


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


durations = st.timedeltas(timedelta(milliseconds=1), timedelta(days=30))


@given(durations, durations, durations, st.integers(1, 10_000))
def test_a_reclaim_waits_twice_as_long_after_each_attempt_up_to_the_longest(
    first: timedelta, base: timedelta, longest: timedelta, attempts: int
) -> None:
    backoff = ReclaimBackoff(first, base, longest)
    pause, next_pause = backoff.after(attempts), backoff.after(attempts + 1)
    assert next_pause == min(2 * pause, longest)
    assert backoff.after(1) == min(base, longest)
    assert backoff.after(0) == first
    assert backoff.least <= min(first, pause)
