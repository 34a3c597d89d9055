"""SIGTERM at any moment of a start, with work waiting: a short, seeded slice of `make stress`."""

from pathlib import Path

import pytest

from m10actors.testing.stress import run


@pytest.mark.timeout(240)
def test_whenever_a_process_is_told_to_end_it_ends_with_0_and_nothing_in_hand_is_lost(tmp_path: Path) -> None:
    result = run(tmp_path, seed=1, rounds=20)
    assert result.sound, result
