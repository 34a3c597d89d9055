"""When something is tried again: a delivery, by the schedule and by what a receiver asks for; an evaluation that its
worker did not finish.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

DELIVERY_SCHEDULE = tuple(timedelta(seconds=seconds) for seconds in (30, 120, 480, 1_920, 7_200))
RETRY_AFTER_MIN = timedelta(seconds=1)
RETRY_AFTER_MAX = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class ReclaimBackoff:
    """How long an entry lies idle before it is taken from the one who has it: `first` while nothing speaks against it,
    then `base`, which doubles with each further attempt, at most `longest`.
    """

    first: timedelta
    base: timedelta
    longest: timedelta

    @property
    def least(self) -> timedelta:
        """What is idle for less is never taken."""
        return min(self.first, self.base, self.longest)

    def after(self, attempts: int) -> timedelta:
        """The idle time that is waited for after so many attempts."""
        if attempts == 0:
            return self.first
        factor = 2 ** min(attempts - 1, 40)
        return self.longest if self.base > self.longest / factor else self.base * factor


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
