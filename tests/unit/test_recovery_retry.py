"""When something is tried again."""

from datetime import UTC, datetime, timedelta

import pytest

from m10actors.recovery.retry import ReclaimBackoff, retry_after, with_retries

NOW = datetime(2026, 7, 1, 12, 0, 0, tzinfo=UTC)
SECOND, HOUR = timedelta(seconds=1), timedelta(hours=1)


@pytest.mark.parametrize(("retries", "seconds"), [(0, []), (1, [1]), (2, [1, 5]), (4, [1, 5, 5, 5])])
def test_a_schedule_is_cut_or_its_last_delay_repeated(retries: int, seconds: list[int]) -> None:
    assert with_retries((SECOND, 5 * SECOND), retries) == tuple(timedelta(seconds=each) for each in seconds)


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        ("120", 120 * SECOND),
        (" 5 ", 5 * SECOND),
        ("0", SECOND),
        ("000000000017", 17 * SECOND),
        ("86400", 24 * HOUR),
        ("86401", 24 * HOUR),
        ("99999999999", 24 * HOUR),
        ("9" * 5_000, 24 * HOUR),
        ("Wed, 01 Jul 2026 12:10:00 GMT", 600 * SECOND),
        ("Wednesday, 01-Jul-26 12:10:00 GMT", 600 * SECOND),
        ("Wed Jul  1 12:10:00 2026", 600 * SECOND),
        ("Wed, 01 Jul 2026 14:10:00 +0200", 600 * SECOND),
        ("Wed, 01 Jul 2026 11:00:00 GMT", SECOND),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 24 * HOUR),
        ("-5", None),
        ("1.5", None),
        ("", None),
        ("soon", None),
        ("٣", None),
        ("Wed, 31 Feb 2026 12:00:00 GMT", None),
    ],
)
def test_retry_after_is_read_in_both_forms_and_clamped(header: str, wanted: timedelta | None) -> None:
    assert retry_after(header, NOW) == wanted


def test_the_pauses_of_reclaims_are_those_of_the_contract() -> None:
    backoff = ReclaimBackoff(first=300 * SECOND, base=60 * SECOND, longest=24 * HOUR)
    seconds = [backoff.after(attempts) / SECOND for attempts in range(7)]
    assert seconds == [300, 60, 120, 240, 480, 960, 1920]
    assert backoff.after(1_000_000) == 24 * HOUR
