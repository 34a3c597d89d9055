"""The program of docs/supervision.md runs, and does what the page says."""

import ctypes
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from m10actors.testing.waiting import eventually

PROGRAM = Path(__file__).parents[2] / "examples" / "supervision" / "word_count.py"


@contextmanager
def run(folder: Path, log: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    command: list[str | Path] = [sys.executable, PROGRAM, folder, *options]
    with log.open("w") as stderr, subprocess.Popen(command, stdout=-1, stderr=stderr, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def test_every_file_is_counted_once_and_one_that_crashes_its_counter_is_put_aside(tmp_path: Path) -> None:
    folder, log = tmp_path / "folder", tmp_path / "log"
    folder.mkdir()
    for n in range(20):
        (folder / f"{n:02}.txt").write_text("word " * n)
    (folder / "no_text.bin").write_bytes(b"\xff\xfe")
    with run(folder, log, "--once") as process:
        out, _ = process.communicate(timeout=30)
    assert sorted(out.splitlines()) == [*(f"{n:02}.txt: {n}" for n in range(20)), "no_text.bin: put aside"]
    assert process.returncode == 0
    assert log.read_text().count("child_crashed") == 2


def test_while_the_folder_is_away_all_that_need_it_are_parked(tmp_path: Path) -> None:
    folder, log = tmp_path / "folder", tmp_path / "log"
    with run(folder, log) as process:
        eventually(lambda: log.read_text().count("children_parked") == 1)
        assert process.stdout is not None
        folder.mkdir()
        (folder / "a").write_text("one two three")
        assert process.stdout.readline() == "a: 3\n"
        (folder / "a").rename(tmp_path / "a")
        folder.rmdir()
        eventually(lambda: log.read_text().count("children_parked") == 2)
        folder.mkdir()
        (folder / "b").write_text("one two")
        assert process.stdout.readline() == "b: 2\n"
        process.terminate()
        assert process.wait(timeout=30) == 0
    assert "child_crashed" not in log.read_text()


def test_a_signal_that_another_thread_takes_ends_it_as_well(tmp_path: Path) -> None:
    """The kernel gives a signal to any thread, for instance to one that is just starting another."""
    log = tmp_path / "log"
    with run(tmp_path / "folder", log) as process:
        eventually(lambda: "children_parked" in log.read_text())
        other = next(
            int(task.name) for task in Path(f"/proc/{process.pid}/task").iterdir() if int(task.name) != process.pid
        )
        assert ctypes.CDLL(None).tgkill(process.pid, other, signal.SIGTERM) == 0
        assert process.wait(timeout=30) == 0
