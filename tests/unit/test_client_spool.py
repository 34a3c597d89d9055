"""The spool keeps whole lines, gives each to one holder only, and never takes more than it may."""

import errno
import os
import resource
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from m10actors.client.segment import Segment
from m10actors.client.spool import MAX_LINES, Spool

LARGE = 10 * 1024 * 1024


def all_of(spool: Spool) -> list[bytes]:
    """Everything that is to be sent, as it is sent."""
    found: list[bytes] = []
    while lines := spool.peek():
        found += lines
        spool.discard()
    return found


def files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.jsonl"))


def test_lines_come_out_once_in_their_order_and_nothing_is_left(tmp_path: Path) -> None:
    spool = Spool(tmp_path, LARGE)
    lines = [b"%d %s\n" % (number, b"x" * 3_000) for number in range(MAX_LINES * 3)]
    for at in range(0, len(lines), 100):
        spool.append(lines[at : at + 100])
    assert len(files(tmp_path)) > 1
    assert spool.waiting == len(lines)
    assert all_of(spool) == lines
    assert (spool.waiting, files(tmp_path)) == (0, [])


def test_what_was_peeked_and_not_discarded_comes_again(tmp_path: Path) -> None:
    spool = Spool(tmp_path, LARGE)
    spool.append([b"one\n"])
    assert spool.peek() == spool.peek() == [b"one\n"]


def test_files_and_folder_are_for_their_user_alone(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "deep" / "spool", LARGE)
    spool.append([b"one\n"])
    [file] = files(tmp_path / "deep" / "spool")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_no_segment_is_given_to_two(tmp_path: Path) -> None:
    first, second = Spool(tmp_path, LARGE), Spool(tmp_path, LARGE)
    first.append([b"one\n"])
    assert second.peek() == []
    first.close()
    assert second.peek() == [b"one\n"]
    assert Spool(tmp_path, LARGE).peek() == []


def test_a_line_cut_by_a_crash_is_left_out_and_counted(tmp_path: Path) -> None:
    (tmp_path / "1-dead.jsonl").write_bytes(b'{"a":1}\n\n{"b":2}\n{"c"')
    spool = Spool(tmp_path, LARGE)
    assert all_of(spool) == [b'{"a":1}\n', b'{"b":2}\n']
    assert (spool.torn, spool.waiting, files(tmp_path)) == (1, 0, [])


def test_an_empty_file_of_a_dead_process_is_removed(tmp_path: Path) -> None:
    (tmp_path / "1-dead.jsonl").touch()
    assert all_of(Spool(tmp_path, LARGE)) == []
    assert files(tmp_path) == []


def test_a_spool_takes_no_more_than_it_may_whoever_wrote_it(tmp_path: Path) -> None:
    other, spool = Spool(tmp_path, LARGE), Spool(tmp_path, 100)
    other.append([b"x" * 90 + b"\n"])
    with pytest.raises(OSError, match="as much as it may have") as refused:
        spool.append([b"y" * 20 + b"\n"])
    assert refused.value.errno == errno.ENOSPC
    all_of(other)
    spool.append([b"y" * 20 + b"\n"])


def test_what_does_not_fit_on_the_disk_leaves_no_half_a_line(tmp_path: Path) -> None:
    spool = Spool(tmp_path, LARGE)
    spool.append([b"whole\n"])
    with files_no_larger_than(10), pytest.raises(OSError, match="File too large"):
        spool.append([b"does not fit\n"])
    spool.append([b"fits\n"])
    assert all_of(spool) == [b"whole\n", b"fits\n"]


@contextmanager
def files_no_larger_than(size: int) -> Iterator[None]:
    """The kernel writes what fits and then refuses, as on a full disk. Python ignores SIGXFSZ."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_links_and_folders_of_others_are_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_bytes(b"secret\n")
    folder = tmp_path / "spool"
    folder.mkdir()
    (folder / "1-link.jsonl").symlink_to(target)
    assert Spool(folder, LARGE).peek() == []
    (tmp_path / "link").symlink_to(folder)
    with pytest.raises(PermissionError):
        Spool(tmp_path / "link", LARGE).append([b"one\n"])


def test_what_cannot_be_removed_is_sent_once_and_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EROFS, "read-only")

    spool = Spool(tmp_path, LARGE)
    spool.append([b"one\n"])
    monkeypatch.setattr(Path, "unlink", refuse)
    assert all_of(spool) == [b"one\n"]
    assert all_of(spool) == []
    assert Segment.adopt(files(tmp_path)[0]) is None


def test_a_child_lets_go_without_taking_the_lock_from_its_parent(tmp_path: Path) -> None:
    spool = Spool(tmp_path, LARGE)
    spool.append([b"one\n"])
    child = os.fork()
    if child == 0:
        spool.forget()
        os._exit(0 if Segment.adopt(files(tmp_path)[0]) is None else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@given(st.binary(max_size=300))
def test_any_bytes_that_a_dead_process_left_come_to_an_end(
    tmp_path_factory: pytest.TempPathFactory, left: bytes
) -> None:
    folder = tmp_path_factory.mktemp("spool")
    (folder / "1-dead.jsonl").write_bytes(left)
    whole = left[: left.rfind(b"\n") + 1]
    expected = [line + b"\n" for line in whole.split(b"\n")[:-1] if line.strip()]
    assert all_of(Spool(folder, LARGE)) == expected
    assert files(folder) == []
