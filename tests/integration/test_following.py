"""A file that grows, is rotated, and is read on by a successor: each line comes out once."""

import os
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from m10actors.following import CHUNK_BYTES, Follower, Position
from m10actors.lines import JsonLines, Line, LineFormat, Reported
from m10actors.loglines.reader import LogLines
from m10actors.recovery.file_keys import FileKeys

AT_ONCE = timedelta(0)
NEVER = timedelta(days=1)


class Log:
    """A log file, what was read of it, and where the reading stands."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "app.log"
        self.path.touch()
        self.position: Position | None = None
        self.found: list[Line] = []
        self._time = 0

    def write(self, *messages: str, end: str = "\n") -> None:
        with self.path.open("a") as file:
            file.write("".join(f"2024-01-01 12:00:00 ERROR {message}{end}" for message in messages))

    def rename(self, number: int = 1) -> None:
        self._age(self.path.rename(f"{self.path}.{number}"))
        self.path.touch()

    def copytruncate(self, number: int = 1) -> None:
        copy = shutil.copyfile(self.path, f"{self.path}.{number}")
        self._age(Path(copy))
        os.truncate(self.path, 0)

    def follower(self, form: LineFormat | None = None, quiet: timedelta = AT_ONCE) -> Follower:
        def keys(chain: bytes) -> FileKeys:
            return FileKeys("host", str(self.path), chain=chain)

        return Follower(self.path, form or LogLines("file"), keys, self.position, quiet=quiet)

    def read(self, follower: Follower) -> list[str]:
        """Everything that is there; the messages. The position is kept, as after a delivery."""
        found = []
        follower.is_behind = True
        while follower.is_behind:
            found += follower.step()
            if not follower.is_behind and follower.is_quiet:
                found += follower.settle()
        self.position = follower.position
        self.found += found
        return messages(found)

    def read_by_a_successor(self) -> list[str]:
        follower = self.follower()
        try:
            return self.read(follower)
        finally:
            follower.close()

    def _age(self, path: Path) -> None:
        """Files that are rotated within one tick of the clock have their order all the same."""
        self._time += 1
        os.utime(path, (self._time, self._time))


def messages(lines: list[Line]) -> list[str]:
    assert all(isinstance(line, Reported) for line in lines), lines
    return [line.failure.error_message for line in lines if isinstance(line, Reported)]


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log(tmp_path)


def test_lines_come_as_they_are_written_and_one_without_its_end_waits(log: Log) -> None:
    follower = log.follower()
    log.write("one", "two")
    assert log.read(follower) == ["one", "two"]
    log.write("thr", end="")
    assert log.read(follower) == []
    with log.path.open("a") as file:
        file.write("ee\n")
    assert log.read(follower) == ["three"]


@pytest.mark.parametrize("rotate", [Log.rename, Log.copytruncate])
def test_a_rotation_loses_nothing_and_repeats_nothing(log: Log, rotate: Callable[..., None]) -> None:
    follower = log.follower()
    log.write("one")
    assert log.read(follower) == ["one"]
    log.write("two")
    rotate(log)
    log.write("three", "four", "five")
    assert log.read(follower) == ["two", "three", "four", "five"]


@pytest.mark.parametrize("rotate", [Log.rename, Log.copytruncate])
def test_a_successor_reads_on_where_the_last_one_was_and_after_rotations_meanwhile(
    log: Log, rotate: Callable[..., None]
) -> None:
    log.write("one", "two")
    assert log.read_by_a_successor() == ["one", "two"]
    assert log.read_by_a_successor() == []
    log.write("three")
    if rotate is Log.rename:
        rotate(log, 2)
        log.write("four")
        rotate(log, 1)
    else:
        rotate(log, 1)
    log.write("five", "six", "seven", "eight")
    expected = ["three", "four"] if rotate is Log.rename else ["three"]
    assert log.read_by_a_successor() == [*expected, "five", "six", "seven", "eight"]
    assert log.read_by_a_successor() == []


def test_the_writer_may_hold_the_renamed_file_for_a_moment_longer(log: Log) -> None:
    with log.path.open("a") as held:
        follower = log.follower(quiet=NEVER)
        log.rename()
        assert log.read(follower) == []
        held.write("2024-01-01 12:00:00 ERROR late\n2024-01-01 12:00:00 ERROR later\n")
        held.flush()
        assert log.read(follower) == ["late"]


def test_the_keys_go_on_with_the_file_and_begin_anew_after_a_rotation(log: Log) -> None:
    log.write("one")
    log.read_by_a_successor()
    log.write("two")
    log.read_by_a_successor()
    content = log.path.read_bytes()
    log.rename()
    log.write("three")
    log.read_by_a_successor()
    keys = FileKeys("host", str(log.path))
    expected = [str(keys.next_key(line)) for line in content.splitlines()]
    expected.append(str(FileKeys("host", str(log.path)).next_key(log.path.read_bytes())))
    assert [line.item["idempotency_key"] for line in log.found if isinstance(line, Reported)] == expected


def test_a_failure_that_may_go_on_is_read_again_by_a_successor(log: Log) -> None:
    patient = log.follower(quiet=NEVER)
    log.write("one", "two")
    with log.path.open("a") as file:
        file.write("  first\n")
    assert log.read(patient) == ["one"]
    with log.path.open("a") as file:
        file.write("  second\n")
    assert log.read_by_a_successor() == ["two"]
    last = log.found[-1]
    assert isinstance(last, Reported)
    assert last.lines == 3


def test_a_truncation_without_a_copy_is_told(log: Log, caplog: pytest.LogCaptureFixture) -> None:
    follower = log.follower()
    log.write("one", "two")
    log.read(follower)
    os.truncate(log.path, 0)
    log.write("three")
    assert log.read(follower) == ["three"]
    assert [record.message for record in caplog.records] == ["follow_gap"]


def test_a_file_that_was_replaced_unseen_by_a_longer_one_is_read_from_its_start(log: Log) -> None:
    log.write("one")
    log.read_by_a_successor()
    log.path.unlink()
    log.write("other", "and more")
    assert log.read_by_a_successor() == ["other", "and more"]


def test_older_files_beside_one_of_which_nothing_was_read_are_left_alone(log: Log) -> None:
    log.write("old")
    log.rename()
    log.read_by_a_successor()
    log.path.rename(log.path.with_name("moved away"))
    log.write("new")
    assert log.read_by_a_successor() == ["new"]


def test_a_name_that_is_not_there_for_a_while_is_waited_for(log: Log) -> None:
    follower = log.follower()
    log.write("one")
    log.path.rename(f"{log.path}.1")
    assert log.read(follower) == ["one"]
    log.path.touch()
    log.write("two")
    assert log.read(follower) == ["two"]


def test_a_line_longer_than_what_is_read_at_once_is_rejected_and_the_next_one_is_found(log: Log) -> None:
    follower = log.follower()
    log.write("x" * (3 * CHUNK_BYTES), "two")
    lines = []
    follower.is_behind = True
    while follower.is_behind:
        lines += follower.step()
    lines += follower.settle()
    assert [type(line).__name__ for line in lines] == ["Rejected", "Reported"]


def test_json_lines_are_followed_as_well(log: Log) -> None:
    follower = log.follower(JsonLines("file"))
    log.path.write_text('{"raw": "one"}\n{"raw": "tw')
    assert log.read(follower) == ["one"]
