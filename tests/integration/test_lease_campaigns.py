"""Leaders that are stopped and killed under load: short slices of `m10actors.testing.leadership`."""

from pathlib import Path

import pytest

from m10actors.testing import latency, leadership

pytestmark = pytest.mark.timeout(120)


def test_no_write_of_an_older_epoch_comes_after_one_of_a_newer(tmp_path: Path) -> None:
    result = leadership.stopped(tmp_path, rounds=2)
    assert result.sound, result
    assert result.epochs > 1


def test_killed_at_a_step_of_a_delivery_all_arrives_under_the_same_key_with_the_same_bytes(tmp_path: Path) -> None:
    result = leadership.killed(tmp_path, ("outbox.after_send", "outbox.before_complete"), events=5, seed=1)
    assert result.sound, result


def test_the_program_that_measures_the_latency_runs(tmp_path: Path) -> None:
    assert len(latency.measured(tmp_path, 3)) == 3
