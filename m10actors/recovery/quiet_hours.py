"""Hours in which nothing is carried out without a person: a pure function of the moment."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY = "(?:mon|tue|wed|thu|fri|sat|sun)"
_RANGE = f"{_DAY}(?:-{_DAY})?"
_SPAN = re.compile(rf"(?:({_RANGE}(?:,{_RANGE})*) +)?(\d\d):(\d\d)-(\d\d):(\d\d)", re.IGNORECASE)
_FORM = "hours such as 22:00-07:00 or Mon-Fri 18:00-08:00 or Sat,Sun 00:00-24:00"


@dataclass(frozen=True, slots=True)
class Span:
    """Hours of the days on which they begin (0 is Monday), in minutes of that day. `end` up to `begin`: on the day
    after.
    """

    text: str
    days: frozenset[int]
    begin: int
    end: int

    @classmethod
    def parse(cls, text: str) -> "Span":
        """ValueError, which says what is expected, if it is none."""
        found = _SPAN.fullmatch(text.strip())
        if found is None:
            raise ValueError(_FORM)
        begin, end = (int(hour) * 60 + int(minute) for hour, minute in (found.group(2, 3), found.group(4, 5)))
        in_an_hour = int(found[3]) < 60 and int(found[5]) < 60
        if not in_an_hour or begin >= 24 * 60 or end > 24 * 60 or begin == end:
            raise ValueError(f"{_FORM}, two different times of the day")
        return cls(text.strip(), _days(found[1]), begin, end)

    def holds(self, weekday: int, minute: int) -> bool:
        """Whether this minute of a day lies in it."""
        if self.begin < self.end:
            return weekday in self.days and self.begin <= minute < self.end
        return (weekday in self.days and minute >= self.begin) or ((weekday - 1) % 7 in self.days and minute < self.end)


@dataclass(frozen=True, slots=True)
class QuietHours:
    """Spans on the clocks of one place. What the clock there shows counts: an hour that daylight saving time repeats
    is quiet twice, one that it leaves out never comes.
    """

    spans: tuple[Span, ...] = ()
    zone_name: str = "UTC"

    @classmethod
    def parse(cls, spans: Iterable[str], zone_name: str) -> "QuietHours":
        """ValueError, which says what is expected, for what is no span or no zone."""
        zone(zone_name)
        return cls(tuple(map(Span.parse, spans)), zone_name)

    def at(self, moment: datetime) -> Span | None:
        """The span in which an aware moment lies; None for none."""
        if not self.spans:
            return None
        there = moment.astimezone(zone(self.zone_name))
        minute = there.hour * 60 + there.minute
        return next((span for span in self.spans if span.holds(there.weekday(), minute)), None)

    def left_at(self, moment: datetime) -> timedelta | None:
        """How long they still last at an aware moment, 0 where it lies in none; None if they do not end within eight
        days.
        """
        if self.at(moment) is None:
            return timedelta(0)
        to_next_minute = timedelta(minutes=1) - timedelta(seconds=moment.second, microseconds=moment.microsecond)
        waits = (to_next_minute + timedelta(minutes=minute) for minute in range(8 * 24 * 60))
        return next((wait for wait in waits if self.at(moment + wait) is None), None)


def zone(name: str) -> tzinfo:
    """The time zone with this IANA name; ValueError, which says what is expected, if this system has none."""
    try:
        return UTC if name == "UTC" else ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError("a time zone of this system such as Europe/Berlin or UTC") from error


def _days(text: str | None) -> frozenset[int]:
    if text is None:
        return frozenset(range(7))
    found: set[int] = set()
    for part in text.lower().split(","):
        first, _, last = part.partition("-")
        begin, end = DAYS.index(first), DAYS.index(last or first)
        found |= {day % 7 for day in range(begin, end + 1 if begin <= end else end + 8)}
    return frozenset(found)
