"""When a delivery is tried again: the schedule, and what a receiver asks for."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

DELIVERY_SCHEDULE = tuple(timedelta(seconds=seconds) for seconds in (30, 120, 480, 1_920, 7_200))
RETRY_AFTER_MIN = timedelta(seconds=1)
RETRY_AFTER_MAX = timedelta(hours=24)


def with_retries(schedule: Sequence[timedelta], max_retries: int) -> tuple[timedelta, ...]:
    """A schedule of exactly `max_retries` delays: cut, or its last delay repeated."""
    return (*schedule[:max_retries], *(schedule[-1],) * (max_retries - len(schedule)))


def retry_after(header: str, now: datetime) -> timedelta | None:
    """What a Retry-After header asks for, in 1 s .. 24 h; None if it is neither seconds nor a date (RFC 9110, 10.2.3).

    `now` is aware. A date in the past asks for the least.
    """
    text = header.strip()
    if text.isascii() and text.isdigit():
        # A day has six digits or fewer in seconds; int() refuses thousands of them.
        wanted = RETRY_AFTER_MAX if len(text.lstrip("0")) > 6 else timedelta(seconds=int(text[-6:]))
        return _clamped(wanted)
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    # The module gives a naive date for the zone -0000, which means UTC without a known origin.
    return _clamped((date if date.tzinfo else date.replace(tzinfo=UTC)) - now)


def _clamped(wanted: timedelta) -> timedelta:
    return min(max(wanted, RETRY_AFTER_MIN), RETRY_AFTER_MAX)
