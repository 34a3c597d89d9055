"""Who lives on a run folder is told by locks alone."""

import fcntl
import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from m10actors.instance import Instance, RunFolderError, forget, known, new_worker_id

LIVES = """
import sys
from pathlib import Path
from m10actors.instance import Instance
held = Instance.enter(Path(sys.argv[1]), sys.argv[2])
print("entered", flush=True)
sys.stdin.read()
"""


@contextmanager
def living(run_dir: Path, worker: str) -> Iterator[subprocess.Popen[str]]:
    """A process that has entered the run folder."""
    command = [sys.executable, "-c", LIVES, str(run_dir), worker]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "entered\n"
        try:
            yield process
        finally:
            process.kill()


def alive(run_dir: Path) -> dict[str, bool]:
    return {each.worker: each.alive for each in known(run_dir)}


def test_a_process_is_alive_until_it_is_killed_and_then_its_file_tells_that_it_is_dead(tmp_path: Path) -> None:
    with living(tmp_path, "there:1:a") as process:
        own = Instance.enter(tmp_path, "here:1:b")
        assert alive(tmp_path) == {"there:1:a": True, "here:1:b": True}
        process.send_signal(signal.SIGSTOP)  # paused is not dead
        assert alive(tmp_path)["there:1:a"]
        process.send_signal(signal.SIGKILL)
        process.wait(10)
        assert alive(tmp_path) == {"there:1:a": False, "here:1:b": True}
        own.leave()
    forget(tmp_path, ("there:1:a",))
    assert known(tmp_path) == []


def test_looking_at_a_living_process_does_not_take_its_lock(tmp_path: Path) -> None:
    with living(tmp_path, "there:1:a"):
        for _ in range(3):
            assert alive(tmp_path) == {"there:1:a": True}


def test_only_the_dead_are_forgotten(tmp_path: Path) -> None:
    own = Instance.enter(tmp_path, "here:1:b")
    forget(tmp_path, ("here:1:b", "nobody:1:c"))
    assert alive(tmp_path) == {"here:1:b": True}
    own.leave()


def test_a_process_that_is_starting_is_never_taken_for_dead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At each step of its entry: before its file is locked, before it has its name, before it says anything."""
    seen: list[dict[str, bool]] = []
    look = known  # the real one, while the entry below is under way
    real_flock, real_rename = fcntl.flock, Path.rename

    def flock(handle: int, operation: int) -> None:
        if sys._getframe(1).f_code.co_name == "enter":
            seen.append({each.worker: each.alive for each in look(tmp_path)})
        real_flock(handle, operation)

    def rename(self: Path, target: Path) -> Path:
        seen.append({each.worker: each.alive for each in look(tmp_path)})
        renamed = real_rename(self, target)
        seen.append({each.worker: each.alive for each in look(tmp_path)})
        return renamed

    monkeypatch.setattr(fcntl, "flock", flock)
    monkeypatch.setattr(Path, "rename", rename)
    own = Instance.enter(tmp_path, "here:1:b")
    assert seen == [{}, {}, {"here:1:b": True}]
    own.leave()


def test_a_clean_end_leaves_nothing(tmp_path: Path) -> None:
    own = Instance.enter(tmp_path, "here:1:b")
    own.write({"api": "http://127.0.0.1:1"})
    own.leave()
    assert list((tmp_path / "instances").iterdir()) == []


def test_what_a_process_says_is_read_back_also_when_it_says_less_than_before(tmp_path: Path) -> None:
    own = Instance.enter(tmp_path, "here:1:b")
    own.write({"api": "http://127.0.0.1:1" + "0" * 500})
    own.write({"api": "x"})
    [found] = known(tmp_path)
    assert found.facts == {"worker": "here:1:b", "pid": os.getpid(), "api": "x"}
    own.leave()


@pytest.mark.parametrize("text", ["", "{", "[1]", '"text"', "\x00", "{}"])
def test_a_file_that_says_nothing_sensible_still_tells_who_is_dead(tmp_path: Path, text: str) -> None:
    (tmp_path / "instances").mkdir()
    (tmp_path / "instances" / "there:1:a.json").write_text(text)
    [found] = known(tmp_path)
    assert (found.worker, found.facts, found.alive) == ("there:1:a", {}, False)


def test_what_is_no_file_of_an_instance_is_not_looked_at(tmp_path: Path) -> None:
    """A folder, a link and a draft that a crash left."""
    folder = tmp_path / "instances"
    folder.mkdir()
    (folder / "folder.json").mkdir()
    (folder / "link.json").symlink_to("/dev/null")
    (folder / ".there:1:a").write_text("")
    assert known(tmp_path) == []


def test_without_a_run_folder_nobody_lives(tmp_path: Path) -> None:
    assert known(tmp_path / "nowhere") == []


def test_files_and_folder_are_for_their_user_alone(tmp_path: Path) -> None:
    own = Instance.enter(tmp_path / "run", "here:1:b")
    folder = tmp_path / "run" / "instances"
    assert [stat.S_IMODE(path.stat().st_mode) for path in (folder.parent, folder, *folder.iterdir())] == [
        0o700,
        0o700,
        0o600,
    ]
    assert json.loads((folder / "here:1:b.json").read_text())["pid"] == os.getpid()
    own.leave()


def test_a_run_folder_that_is_a_file_is_refused_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("")
    with pytest.raises(RunFolderError, match="run"):
        Instance.enter(tmp_path / "run", "here:1:b")


def test_a_worker_id_is_never_the_same_twice() -> None:
    assert len({new_worker_id() for _ in range(1000)}) == 1000
