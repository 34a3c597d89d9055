"""`m10 dev` as a process: first start, second start, SIGTERM, kill -9 and what the next start makes of it."""

import http.client
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from m10actors.testing.waiting import eventually

pytestmark = pytest.mark.timeout(120)


STARTED: list["subprocess.Popen[bytes]"] = []


class Dev:
    """A running `m10 dev`, found by its instance file."""

    def __init__(self, data_dir: Path, *arguments: str) -> None:
        self.data_dir = data_dir
        command = [sys.executable, "-m", "m10actors", "dev", "--data-dir", str(data_dir), *arguments]
        self.output = data_dir.with_suffix(".out")
        with self.output.open("ab") as out:
            self.process = subprocess.Popen([*command, "--set", "http.listen=127.0.0.1:0"], stdout=out, stderr=out)
        STARTED.append(self.process)
        self.port = eventually(self._port, within=60)

    def get(self, path: str) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read().decode()
        connection.close()
        return answer.status, body

    def ingest(self, item: dict[str, object]) -> dict[str, object]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        token = (self.data_dir / "token").read_text().strip()
        headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
        connection.request("POST", "/api/v1/recovery/ingest", json.dumps(item), headers)
        answer = connection.getresponse()
        body = json.loads(answer.read())
        connection.close()
        assert answer.status in (200, 202), body
        assert isinstance(body, dict)
        return body

    def end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        return self.process.wait(60)

    def servers(self) -> list[int]:
        """Pids of the servers of this data folder, whoever their parent is."""
        found = []
        for entry in Path("/proc").iterdir():
            with suppress(OSError):
                if entry.name.isdigit() and str(self.data_dir) in str((entry / "cwd").readlink()):
                    found.append(int(entry.name))
        return found

    def _port(self) -> int:
        assert self.process.poll() is None, self.output.read_text()
        for path in (self.data_dir / "run" / "instances").glob("*.json"):
            with suppress(ValueError, OSError):
                facts = json.loads(path.read_text())
                if (
                    facts.get("pid") == self.process.pid
                    and facts.get("api")
                    and "m10 is ready" in self.output.read_text()
                ):
                    return int(facts["api"].rpartition(":")[2])
        return 0


@pytest.fixture(autouse=True)
def no_process_left() -> Iterator[None]:
    """Also after a test that failed."""
    yield
    while STARTED:
        process = STARTED.pop()
        if process.poll() is None:
            process.terminate()
            process.wait(60)


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("d") / "m10"


def delivered(dev: Dev) -> int:
    return dev.output.read_text().count("delivered  ")


def test_it_becomes_ready_prints_where_to_look_and_delivers_the_sample_once(folder: Path) -> None:
    dev = Dev(folder)
    assert dev.get("/healthz")[0] == 200
    body = eventually(lambda: (answer := dev.get("/readyz"))[0] == 200 and answer[1])
    assert json.loads(body)["status"] == "ready"
    eventually(lambda: delivered(dev) > 10)
    printed = dev.output.read_text()
    assert "curl -sS http://127.0.0.1:" in printed
    assert "m10 ingest " in printed
    assert "recovery_ingest_total" in dev.get("/metrics")[1]
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "token").stat().st_mode & 0o777 == 0o600
    assert dev.end(signal.SIGTERM) == 0
    assert dev.servers() == []


def test_its_data_is_kept_and_the_sample_is_not_counted_again(folder: Path) -> None:
    first = Dev(folder)
    eventually(lambda: delivered(first) > 10)
    assert first.end(signal.SIGINT) == 0
    second = Dev(folder)
    item = {"failure_payload": {"error_type": "TIMEOUT", "raw": "a"}, "idempotency_key": "k"}
    assert second.ingest(item)["counted"] is True
    assert second.end(signal.SIGTERM) == 0
    third = Dev(folder, "--empty")
    assert third.ingest(item)["counted"] is False
    before = delivered(third)
    assert third.ingest({"failure_payload": {"error_type": "DNS", "raw": "b"}, "source": "new"})["status"] == "accepted"
    eventually(lambda: delivered(third) == before + 1)
    assert third.end(signal.SIGTERM) == 0
    assert third.servers() == []


def test_after_kill_9_the_next_start_adopts_what_was_left_and_ends_it_in_the_end(folder: Path) -> None:
    first = Dev(folder, "--empty")
    first.ingest({"failure_payload": {"error_type": "TIMEOUT", "raw": "a"}, "idempotency_key": "k"})
    first.end(signal.SIGKILL)
    assert first.servers() != []
    second = Dev(folder, "--empty")
    answer = second.ingest({"failure_payload": {"error_type": "TIMEOUT", "raw": "a"}, "idempotency_key": "k"})
    assert answer["counted"] is False
    assert second.end(signal.SIGTERM) == 0
    assert second.servers() == []


def test_two_data_folders_work_side_by_side(folder: Path) -> None:
    one, other = Dev(folder, "--empty"), Dev(folder.with_name("other"), "--empty")
    assert one.ingest({"failure_payload": {"error_type": "DNS", "raw": "a"}})["candidate_id"] == 1
    assert other.ingest({"failure_payload": {"error_type": "DNS", "raw": "a"}})["candidate_id"] == 1
    assert one.end(signal.SIGTERM) == 0
    assert other.get("/readyz")[0] == 200
    assert other.end(signal.SIGTERM) == 0


def test_a_data_folder_in_use_is_said_and_nothing_is_touched(folder: Path) -> None:
    dev = Dev(folder, "--empty")
    command = [sys.executable, "-m", "m10actors", "dev", "--data-dir", str(folder)]
    second = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert second.returncode == 2
    assert str(dev.process.pid) in second.stderr
    assert "Traceback" not in second.stderr
    assert dev.get("/readyz")[0] == 200
    assert dev.end(signal.SIGTERM) == 0
