"""The program that times lists, with few candidates: every question is answered."""

from pathlib import Path

from m10actors.testing import lists


def test_every_list_count_and_verdict_is_timed(tmp_path: Path) -> None:
    found = list(lists.measured(tmp_path, candidates=1000, rounds=1))
    assert [each.name for each in found] == [*lists.QUESTIONS, "a page approved", "a page rejected"]
    assert all(0 < each.median <= each.p95 for each in found)
