"""When a job is due."""

from datetime import UTC, datetime, timedelta

import pytest

from m10actors.actors.scheduler import Schedule, seconds_to_next

NOON = datetime(2026, 2, 3, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("schedule", "now", "expected"),
    [
        (timedelta(minutes=5), NOON, 300),
        (timedelta(milliseconds=1), NOON, 0.001),
        ("5 12 * * *", NOON, 300),
        ("5 0 * * *", NOON, 12 * 3600 + 300),
        ("* * * * *", NOON + timedelta(seconds=59.5), 0.5),
        ("0 12 * * *", NOON, 24 * 3600),  # at its very moment it has run: the next one is tomorrow's
        ("0 0 29 2 *", NOON, (datetime(2028, 2, 29, tzinfo=UTC) - NOON).total_seconds()),
    ],
)
def test_the_next_run_is_so_many_seconds_away(schedule: Schedule, now: datetime, expected: float) -> None:
    assert seconds_to_next(schedule, now) == pytest.approx(expected)
