"""The measure of `make bench-fingerprint` is the one of the log-parsing papers, and says what it misses."""

import subprocess
import sys
from pathlib import Path

import pytest

from bench.grouping import accuracy, by_drain, data_sets

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("predicted", "expected"),
    [
        ("aabb", 1.0),
        ("xxyy", 1.0),
        ("aaaa", 0.0),
        ("abcc", 0.5),
        ("aabc", 0.5),
        ("aaba", 0.0),
    ],
)
def test_a_line_counts_only_if_its_whole_group_is_exactly_right(predicted: str, expected: float) -> None:
    assert accuracy(predicted, "1122") == expected


def test_a_data_set_is_read_with_its_labels_and_grouped_by_drain(tmp_path: Path) -> None:
    (tmp_path / "Own_2k.log_structured.csv").write_text('LineId,Content,EventId\n1,"down, 1 left",A\n2,up again,B\n')
    [data] = data_sets(tmp_path)
    assert (data.name, data.lines, data.events) == ("Own", ["down, 1 left", "up again"], ["A", "B"])
    assert len(set(by_drain(data))) == 2


def test_a_folder_without_data_sets_is_named(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "bench.fingerprint", "--data", str(tmp_path)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert ran.returncode == 2
    assert f"no *_2k.log_structured.csv in {tmp_path}" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_the_program_prints_accuracy_beside_drains_and_what_was_stored(tmp_path: Path) -> None:
    rows = [f"{number},order {number} failed,A\n" for number in range(3)]
    (tmp_path / "Own_2k.log_structured.csv").write_text("".join(["LineId,Content,EventId\n", *rows]))
    command = [sys.executable, "-m", "bench.fingerprint", "--stored", "--data", str(tmp_path)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=100)
    grouped, stored = (line.split() for line in ran.stdout.splitlines() if line.startswith("Own"))
    assert grouped[1] == "1.0000"
    assert stored == ["Own", "1.0000", "1", "1", "3", "3"]
