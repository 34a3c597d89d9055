"""Quiet hours: what the clock of a place shows, on which day, and what daylight saving time makes of it."""

from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from m10actors.recovery.actions import Action
from m10actors.recovery.facts import Candidate
from m10actors.recovery.gates import Policy, Reason, first_gate
from m10actors.recovery.quiet_hours import QuietHours, Span

BERLIN = "Europe/Berlin"


def is_quiet(moment: str, *spans: str, zone: str = "UTC") -> bool:
    return QuietHours.parse(spans, zone).at(datetime.fromisoformat(moment)) is not None


@pytest.mark.parametrize(
    ("moment", "quiet"),
    [("21:59", False), ("22:00", True), ("23:59", True), ("00:00", True), ("06:59", True), ("07:00", False)],
)
def test_hours_over_midnight_begin_and_end_on_the_minute(moment: str, quiet: bool) -> None:
    assert is_quiet(f"2026-03-04T{moment}:00Z", "22:00-07:00") is quiet


def test_the_days_are_those_on_which_the_hours_begin() -> None:
    weekdays = "Mon-Fri 22:00-07:00"
    assert is_quiet("2026-03-06T23:00:00Z", weekdays)  # a Friday
    assert is_quiet("2026-03-07T06:00:00Z", weekdays)  # the Saturday after it
    assert not is_quiet("2026-03-07T23:00:00Z", weekdays)
    assert not is_quiet("2026-03-09T06:00:00Z", weekdays)  # the Monday after a Sunday
    assert is_quiet("2026-03-08T12:00:00Z", weekdays, "sat,SUN 00:00-24:00")
    assert is_quiet("2026-03-09T12:00:00Z", "Sat-Mon 12:00-13:00")


def test_the_hours_are_those_of_the_zone_in_summer_and_in_winter() -> None:
    for moment in ("2026-01-15T21:30:00Z", "2026-07-15T20:30:00Z", "2026-07-15T22:30:00+02:00"):
        assert is_quiet(moment, "22:00-23:00", zone=BERLIN)
    assert not is_quiet("2026-07-15T21:30:00Z", "22:00-23:00", zone=BERLIN)


def test_an_hour_that_comes_twice_is_quiet_twice_and_one_that_is_left_out_never() -> None:
    twice = ("2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z")  # both are 02:30 there
    assert all(is_quiet(moment, "02:00-03:00", zone=BERLIN) for moment in twice)
    night = [datetime(2026, 3, 28, 23, tzinfo=UTC) + timedelta(minutes=minute) for minute in range(6 * 60)]
    hours = QuietHours.parse(["02:00-03:00"], BERLIN)
    assert not any(hours.at(moment) for moment in night)


@pytest.mark.parametrize(
    "text",
    ["", "22-07", "22:00", "24:00-25:00", "10:00-10:00", "10:60-11:00", "Funday 10:00-11:00", "Mon-Wed-Fri 1:00-2:00"],
)
def test_what_is_no_span_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="such as 22:00-07:00"):
        Span.parse(text)


def test_a_zone_that_is_not_known_is_refused() -> None:
    for zone in ("Mars/Olympus", "../etc/passwd", ""):
        with pytest.raises(ValueError, match="a time zone"):
            QuietHours.parse([], zone)


@given(st.integers(946_684_800, 4_070_908_800).map(partial(datetime.fromtimestamp, tz=UTC)))
def test_of_a_span_and_its_complement_each_moment_lies_in_exactly_one(moment: datetime) -> None:
    spans = QuietHours.parse(["22:00-07:00"], BERLIN), QuietHours.parse(["07:00-22:00"], BERLIN)
    assert sum(hours.at(moment) is not None for hours in spans) == 1


def test_what_falls_into_quiet_hours_waits_for_a_person() -> None:
    action = Action("retry", is_automated=True, requires_approval=False)
    policy = Policy(
        auto_execute=True, destinations_for=frozenset({"retry"}), quiet_hours=QuietHours.parse(["22:00-07:00"], "UTC")
    )
    for hour, reason in ((23, Reason.QUIET_HOURS), (12, Reason.EXECUTES)):
        candidate = Candidate(1, 1, "TIMEOUT", "", "", "", 1, at=datetime(2026, 3, 4, hour, tzinfo=UTC))
        assert first_gate(candidate, "retry", 0.9, {"retry": action}, policy) is reason


@given(st.integers(1_700_000_000, 1_900_000_000).map(partial(datetime.fromtimestamp, tz=UTC)))
def test_they_are_over_when_what_is_left_of_them_has_passed(moment: datetime) -> None:
    hours = QuietHours.parse(["22:00-07:00", "Sat,Sun 00:00-24:00"], BERLIN)
    left = hours.left_at(moment)
    assert left is not None
    assert hours.at(moment + left) is None
    assert not left or hours.at(moment + left - timedelta(seconds=1)) is not None
    assert (left == timedelta(0)) == (hours.at(moment) is None)


def test_hours_that_never_end_leave_no_end() -> None:
    assert QuietHours.parse(["00:00-24:00"], "UTC").left_at(datetime(2026, 3, 4, tzinfo=UTC)) is None
