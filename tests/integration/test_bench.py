"""The harness of `make bench` runs every workload and writes what it should; no figure is judged."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("names", ["W1 W2 W3 W4 W5", "W6 W7 W8 W9"])
def test_every_workload_runs_and_is_written_down(names: str, tmp_path: Path) -> None:
    output = tmp_path / "results.json"
    command = [sys.executable, "-m", "bench", *names.split(), "--quick", "--output", str(output)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=115)
    assert ran.returncode == 0, ran.stderr
    figures = json.loads(output.read_text())
    assert {figure["name"].split()[0] for figure in figures} == set(names.split())
    for figure in figures:
        assert figure.keys() == {"name", "unit", "ours", "limit", "ratio", "runs"}
        assert min(figure["ours"], figure["limit"], figure["ratio"]) > 0
        assert [len(run) for run in figure["runs"]] == [2]
        assert figure["name"] in ran.stdout


@pytest.mark.needs("nginx", "wrk")
def test_deliveries_are_measured_beside_a_client_in_c(tmp_path: Path) -> None:
    output = tmp_path / "results.json"
    command = [sys.executable, "-m", "bench", "W7", "--quick", "--output", str(output)]
    subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=115)
    figures = {figure["name"]: figure for figure in json.loads(output.read_text())}
    assert figures["W7 deliveries to nginx"]["ours"] > 0
    assert figures["W7 CPU of a delivery"]["ours"] > 0


def test_an_unknown_workload_is_refused_with_the_names_of_those_that_exist() -> None:
    command = [sys.executable, "-m", "bench", "W99"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert ran.returncode == 2
    assert "W99" in ran.stderr


def test_handlers_of_other_queues_write_what_the_engine_writes_though_a_message_comes_twice() -> None:
    command = [sys.executable, "-m", "bench.peers.check"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=115)
    assert (ran.returncode, ran.stdout) == (0, "the same rows\n"), ran.stderr


def test_the_parts_of_a_batch_in_postgres_are_told_by_name() -> None:
    command = [sys.executable, "-m", "bench.parts", "--batches", "2"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=115)
    assert ran.returncode == 0, ran.stderr
    sides = {side.partition(":")[0].strip(): side for side in ran.stdout.split("\n\n")}
    assert list(sides) == ["W2", "W5", "W2 by hand", "W5 by hand"]
    for part in ("apply_evaluations", "locked", "written", "publish_routes", "execution_candidate_id_fkey"):
        assert f" {part} " in sides["W2"], part
    assert " proven " not in sides["W2"]
    assert " proven " in sides["W5"]
    assert " decided " in sides["W2 by hand"]
