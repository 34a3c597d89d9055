"""When something is tried again: the delivery schedule, the backoff of reclaims, and what a receiver asks for."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from random import Random

DELIVERY_SCHEDULE = tuple(timedelta(seconds=seconds) for seconds in (30, 120, 480, 1_920, 7_200))
RETRY_AFTER_MIN = timedelta(seconds=1)
RETRY_AFTER_MAX = timedelta(hours=24)
RECLAIM_FIRST_IDLE = timedelta(seconds=300)
RECLAIM_BASE = timedelta(seconds=60)
RECLAIM_MAX = timedelta(hours=24)

_MANY_DOUBLINGS = 64


def next_delay(retry_count: int, schedule: Sequence[timedelta], jitter: float, random: Random) -> timedelta | None:
    """How long to wait after a failed attempt, or None when it was the last: then it is a dead letter.

    `retry_count` is the number of failed attempts before this one: with a schedule of five, the sixth gives None.
    `jitter` is the share (0 .. 1) by which the delay may be shorter or longer.
    """
    if retry_count >= len(schedule):
        return None
    return schedule[retry_count] * random.uniform(1 - jitter, 1 + jitter)


def with_retries(schedule: Sequence[timedelta], max_retries: int) -> tuple[timedelta, ...]:
    """A schedule of exactly `max_retries` delays: cut, or its last delay repeated."""
    return (*schedule[:max_retries], *(schedule[-1],) * (max_retries - len(schedule)))


def exponential(doublings: int, base: timedelta, at_most: timedelta) -> timedelta:
    """base × 2^doublings, at most `at_most`; never overflows."""
    seconds = base.total_seconds() * 2.0 ** min(doublings, _MANY_DOUBLINGS)
    return timedelta(seconds=min(seconds, at_most.total_seconds()))


def reclaim_idle(
    attempts: int,
    *,
    first: timedelta = RECLAIM_FIRST_IDLE,
    base: timedelta = RECLAIM_BASE,
    at_most: timedelta = RECLAIM_MAX,
) -> timedelta:
    """How long a pending entry must be idle to be reclaimed, after `attempts` reclaims (contracts, section 2)."""
    return first if attempts == 0 else exponential(attempts - 1, base, at_most)


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
