"""Weather in one actor: how long it waits, and what it says."""

from typing import Any

import pytest

from m10actors.actors import outage
from m10actors.actors.outage import Outage
from m10actors.postgres.errors import StoreDown
from m10actors.streams import Cause, RedisUnavailable


class Said:
    """What is logged, as (event, key=value…)."""

    def __init__(self) -> None:
        self.events: list[tuple[str, dict[str, Any]]] = []

    def warning(self, event: str, **values: Any) -> None:
        self.events.append((event, values))

    info = warning


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> Said:
    said = Said()
    monkeypatch.setattr(outage, "log", said)
    return said


def test_the_pauses_double_up_to_the_longest_and_are_jittered_between_half_and_all(said: Said) -> None:
    weather = Outage("redis", first=0.1, longest=1.0)
    for full in (0.1, 0.2, 0.4, 0.8, 1.0, 1.0):
        assert full / 2 <= weather.met(OSError("down")) <= full


def test_the_pause_never_overflows_however_long_an_outage_lasts(said: Said) -> None:
    weather = Outage("redis")
    assert max(weather.met(OSError("down")) for _ in range(5000)) <= 1.0


def test_what_is_over_soon_is_not_told_and_what_lasts_is_told_once_when_it_ends_too(said: Said) -> None:
    now = 0.0
    weather = Outage("redis", clock=lambda: now)
    weather.over()
    weather.met(OSError("down"))
    weather.over()
    weather.met(OSError("down"))
    now = outage.TELL_AFTER
    for _ in range(3):
        weather.met(OSError("down"))
    weather.over()
    weather.over()
    assert [event for event, _ in said.events] == ["dependency_unavailable", "dependency_back"]
    assert said.events[1][1]["tries"] == 4


@pytest.mark.parametrize("error", [StoreDown("away"), RedisUnavailable(Cause.KNOWN_DOWN, "away")])
def test_what_the_monitor_knows_is_not_told_again(said: Said, error: Exception) -> None:
    now = 0.0
    weather = Outage("postgres", clock=lambda: now)
    for _ in range(5):
        weather.met(error)
        now += outage.TELL_AFTER
    weather.over()
    assert not said.events


def test_after_an_outage_the_pauses_begin_anew(said: Said) -> None:
    weather = Outage("redis", first=0.1, longest=100.0)
    for _ in range(8):
        weather.met(OSError("down"))
    weather.over()
    assert weather.met(OSError("down")) <= 0.1
