"""The pauses of the plugin that makes late whatever may be late."""

import time

import pytest

from m10actors.testing.late import SEAMS, Pauses


def slept(monkeypatch: pytest.MonkeyPatch, pauses: Pauses, calls: int) -> list[float]:
    seconds: list[float] = []
    monkeypatch.setattr(time, "sleep", seconds.append)
    echo = pauses.before(lambda *given, **named: (given, named))
    assert all(echo(number, key="value") == ((number,), {"key": "value"}) for number in range(calls))
    return seconds


def test_a_share_of_all_calls_waits_up_to_the_most(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = slept(monkeypatch, Pauses(1, 0.25, 2.0), 4000)
    late = [each for each in seconds if each]
    assert 800 < len(late) < 1200
    assert 0 < min(late) < 0.1
    assert 1.9 < max(late) <= 2.0


def test_the_seed_gives_the_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, other = (slept(monkeypatch, Pauses(seed, 0.5, 1.0), 100) for seed in (1, 1, 2))
    assert first == second != other


@pytest.mark.parametrize(("owner", "name"), SEAMS)
def test_each_place_where_it_steps_in_is_there(owner: type, name: str) -> None:
    assert callable(getattr(owner, name))
