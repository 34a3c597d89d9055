"""Which instance a verb means, by the files of real instances of this process."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from m10actors import config
from m10actors.cli.errors import Unreachable, WrongUsage
from m10actors.cli.finding import find
from m10actors.instance import Instance, new_worker_id

Start = Callable[[Path], str]


@pytest.fixture
def start() -> Iterator[Start]:
    """Enters a run folder as an instance of its own; its worker id."""
    with ExitStack() as stack:

        def begin(run_dir: Path) -> str:
            instance = Instance.enter(run_dir, new_worker_id())
            stack.callback(instance.leave)
            instance.write({"api": "http://127.0.0.1:1", "ops": ["unix:/o", "127.0.0.1:2"]})
            return instance.worker

        yield begin


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home folder, in which this process works."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def loaded(**environ: str) -> config.Loaded:
    return config.load(None, environ, {})


def test_an_instance_says_where_it_is_reached(start: Start, home: Path) -> None:
    worker = start(home / "data" / "run")
    (home / "data" / "token").write_text("m10_x\n")
    found = find(loaded(), data_dir=home / "data")
    assert (found.worker, found.api, found.ops) == (worker, "http://127.0.0.1:1", ("unix:/o", "127.0.0.1:2"))
    assert found.token_file == home / "data" / "token"


def test_the_nearest_folder_upwards_is_found_before_the_run_folder(
    start: Start, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    near, far = start(home / "project" / ".m10" / "run"), start(home / "session" / "m10")
    (home / "project" / "src" / "deep").mkdir(parents=True)
    monkeypatch.chdir(home / "project" / "src" / "deep")
    assert find(loaded(XDG_RUNTIME_DIR=str(home / "session"))).worker == near
    monkeypatch.chdir(home)
    assert find(loaded(XDG_RUNTIME_DIR=str(home / "session"))).worker == far


def test_a_run_folder_that_was_named_is_the_only_one_looked_at(start: Start, home: Path) -> None:
    start(home / ".m10" / "run")
    with pytest.raises(Unreachable, match="no instance of m10 runs here"):
        find(loaded(M10_RUN_DIR=str(home / "elsewhere")))
    with pytest.raises(Unreachable, match="data/run"):
        find(loaded(), data_dir=home / "data")


def test_the_folder_of_somebody_else_is_not_trusted(start: Start, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    start(home / "planted" / "run")
    (home / "work").mkdir()
    (home / "work" / ".m10").symlink_to(home / "planted")
    monkeypatch.chdir(home / "work")
    with pytest.raises(Unreachable):
        find(loaded())


def test_the_dead_are_no_instances(home: Path) -> None:
    run_dir = home / ".m10" / "run"
    Instance.enter(run_dir, "host:1:aaaaaaaa").leave()
    (run_dir / "instances" / "host:2:bbbbbbbb.json").write_text("{}")
    with pytest.raises(Unreachable):
        find(loaded())


def test_of_several_one_has_to_be_chosen(start: Start, home: Path) -> None:
    run_dir = home / ".m10" / "run"
    one, two = start(run_dir), start(run_dir)
    with pytest.raises(WrongUsage, match="several instances") as refusal:
        find(loaded())
    assert one in str(refusal.value)
    assert two in str(refusal.value)
    assert find(loaded(), instance=one).worker == one
    assert find(loaded(), instance=two.rpartition(":")[2]).worker == two
    with pytest.raises(WrongUsage, match="no instance nobody runs here, but:"):
        find(loaded(), instance="nobody")


def test_what_an_instance_file_holds_is_not_believed_blindly(home: Path) -> None:
    instance = Instance.enter(home / ".m10" / "run", "host:1:aaaaaaaa")
    try:
        instance.write({"api": 5, "ops": [1, "unix:/o"]})
        found = find(loaded())
        assert (found.api, found.ops, found.token_file) == (None, ("unix:/o",), None)
    finally:
        instance.leave()


def test_a_symlink_in_the_run_folder_is_no_instance_and_is_not_followed(home: Path) -> None:
    folder = home / ".m10" / "run" / "instances"
    folder.mkdir(parents=True)
    (folder / "host:1:aaaaaaaa.json").symlink_to("/etc/hostname")
    with pytest.raises(Unreachable, match="no instance"):
        find(loaded())
