"""When something is tried again."""

from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from m10actors.recovery.retry import DELIVERY_SCHEDULE, exponential, next_delay, reclaim_idle, retry_after, with_retries

NOW = datetime(2026, 7, 1, 12, 0, 0, tzinfo=UTC)
SECOND, HOUR = timedelta(seconds=1), timedelta(hours=1)


def test_the_sixth_failure_is_the_dead_letter() -> None:
    delays = [next_delay(retries, DELIVERY_SCHEDULE, 0.0, Random(1)) for retries in range(7)]
    assert delays == [30 * SECOND, 120 * SECOND, 480 * SECOND, 1_920 * SECOND, 2 * HOUR, None, None]


def test_without_a_schedule_the_first_failure_is_the_dead_letter() -> None:
    assert next_delay(0, (), 0.1, Random(1)) is None


@pytest.mark.parametrize(("retries", "seconds"), [(0, []), (1, [1]), (2, [1, 5]), (4, [1, 5, 5, 5])])
def test_a_schedule_is_cut_or_its_last_delay_repeated(retries: int, seconds: list[int]) -> None:
    assert with_retries((SECOND, 5 * SECOND), retries) == tuple(timedelta(seconds=each) for each in seconds)


@pytest.mark.parametrize(
    ("attempts", "seconds"), [(0, 300), (1, 60), (2, 120), (3, 240), (11, 61_440), (12, 86_400), (2_000, 86_400)]
)
def test_reclaims_back_off_to_a_day(attempts: int, seconds: int) -> None:
    assert reclaim_idle(attempts) == timedelta(seconds=seconds)


def test_an_exponential_delay_starts_at_its_base() -> None:
    assert [exponential(n, 2 * SECOND, 300 * SECOND).total_seconds() for n in (0, 1, 7, 8, 10**6)] == [
        2,
        4,
        256,
        300,
        300,
    ]


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
