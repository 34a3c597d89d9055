"""`m10 demo`, as a user runs it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.timeout(240)

LOGHUB = Path(__file__).parents[3] / "shared" / "data" / "loghub"


def demo(*arguments: str, cwd: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "m10actors", "demo", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=200, check=False)


def test_the_demo_balances_on_the_shipped_sample(tmp_path: Path) -> None:
    done = demo("--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    account = json.loads(done.stdout)
    assert account["balanced"] is True
    assert account["sent"] == account["accepted"] >= 300
    assert account["duplicates"] == account["rejected"] == account["received_twice"] == 0
    assert account["evaluated"] == account["candidates"] > 50
    assert account["published"] == account["delivered"] == account["received_keys"] > 10
    assert account["dead"] == 3
    assert isinstance(account["seconds"], float)
    assert list(tmp_path.iterdir()) == []


def test_the_demo_balances_on_20_000_failures_made_from_the_sample(tmp_path: Path) -> None:
    done = demo("--json", "--count", "20000", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    account = json.loads(done.stdout)
    assert account["balanced"] is True
    assert account["accepted"] == 20_000
    assert account["received_twice"] == 0


def test_malformed_lines_and_repeated_keys_are_told_apart_and_the_rest_balances(tmp_path: Path) -> None:
    same = {"error_type": "TIMEOUT", "raw": "no answer", "idempotency_key": "the same"}
    lines = [
        json.dumps(same),
        json.dumps(same),
        "no json",
        '{"error_type": 5}',
        json.dumps({"error_type": "HTTP_503", "raw": "x"}),
    ]
    (tmp_path / "in.jsonl").write_text("\n".join([*lines, ""]))
    done = demo("--json", "--input", "in.jsonl", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    account = json.loads(done.stdout)
    assert (account["sent"], account["accepted"], account["duplicates"], account["rejected"]) == (5, 2, 1, 2)
    assert account["candidates"] == 2
    assert account["balanced"] is True


@pytest.mark.needs("data:loghub")
@pytest.mark.parametrize(("name", "failures"), [("Hadoop", 960), ("OpenStack", 31), ("Zookeeper", 1331)])
def test_the_demo_balances_on_the_failures_of_published_logs(tmp_path: Path, name: str, failures: int) -> None:
    done = demo("--json", "--format", "log", "--input", str(LOGHUB / f"{name}_2k.log"), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    account = json.loads(done.stdout)
    assert account["balanced"] is True
    assert account["sent"] == account["accepted"] == failures


def test_a_log_without_failures_says_so_and_exits_with_1(tmp_path: Path) -> None:
    (tmp_path / "app.log").write_text("2024-01-01 12:00:00 INFO an error was handled\n")
    done = demo("--format", "log", "--input", "app.log", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert "no failure found in app.log" in done.stderr


@pytest.mark.parametrize("content", ["", "\n\n"])
def test_an_input_without_failures_says_so_and_exits_with_1(tmp_path: Path, content: str) -> None:
    (tmp_path / "in.jsonl").write_text(content)
    done = demo("--input", "in.jsonl", cwd=tmp_path)
    assert done.returncode == 1
    assert "no failure found" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_input_that_is_not_there_is_wrong_usage(tmp_path: Path) -> None:
    done = demo("--input", "nowhere.jsonl", cwd=tmp_path)
    assert done.returncode == 2
    assert "nowhere.jsonl" in done.stderr
    assert "Traceback" not in done.stderr
