"""The pure parts of the matrix of servers: what is found, what is counted, what is said of it."""

import tarfile
from collections import Counter
from io import BytesIO
from pathlib import Path

import pytest

from m10actors.embedded import EmbeddedError, Programs
from m10actors.testing.matrix.containers import DEFAULT_IMAGES, chosen_images, kind_of
from m10actors.testing.matrix.finding import Binary, binary
from m10actors.testing.matrix.images import fill
from m10actors.testing.matrix.rows import TESTS, Absent, Counts, Ran, exit_code, files
from m10actors.testing.matrix.running import counted
from m10actors.testing.matrix.table import report
from m10actors.testing.stores import Chosen, RunningPostgres

FINE = Ran("Valkey 9.1.2", "PATH", "one server", Counts(passed=3, seconds=1.6))
AWAY = Absent("Debian's Redis", "apt-get: No such file or directory")
REPORT = """<testsuites><testsuite time="2.5">
<testcase classname="a" name="passes"/>
<testcase classname="a" name="is_skipped"><skipped message="needs xackdel"/></testcase>
<testcase classname="a" name="is_skipped_too"><skipped message="needs xackdel"/></testcase>
<testcase classname="a" name="fails"><failure/></testcase>
<testcase classname="a" name="fails"><error/></testcase>
</testsuite></testsuites>"""


def program(folder: Path, name: str, says: str) -> Path:
    path = folder / name
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    ("name", "says", "expected"),
    [
        ("valkey-server", "Valkey server v=9.1.2 sha=00000000:0 malloc=libc bits=64", "Valkey 9.1.2"),
        ("redis-server", "Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64", "Redis 7.0.15"),
    ],
)
def test_a_server_is_named_as_it_names_itself(name: str, says: str, expected: str, tmp_path: Path) -> None:
    path = program(tmp_path, name, says)
    assert binary("redis", path, "PATH") == Binary("redis", path, expected, "PATH")


def test_postgres_is_a_folder_of_programs(tmp_path: Path) -> None:
    program(tmp_path, "postgres", "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)")
    assert binary("postgres", tmp_path, "PATH") == Binary("postgres", tmp_path, "PostgreSQL 15.18", "PATH")


def test_what_cannot_be_run_or_tells_no_version_is_absent_with_the_reason(tmp_path: Path) -> None:
    assert binary("redis", tmp_path / "none", "PATH") == Absent(
        f"{tmp_path}/none (PATH)", f"{tmp_path}/none: No such file or directory"
    )
    mute = binary("redis", program(tmp_path, "redis-server", "hello"), "PATH")
    assert isinstance(mute, Absent)
    assert mute.reason == "it does not tell its version: hello"


def test_a_test_that_fails_and_whose_end_fails_too_is_counted_once() -> None:
    counts = counted(REPORT, 1)
    assert counts == Counts(1, ("a::fails",), Counter({"needs xackdel": 2}), 2.5, 1)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([], 1),
        ([AWAY], 1),
        ([FINE, AWAY], 0),
        ([FINE, Ran("Redis 8.2", "PATH", "Sentinel", Counts(failed=("a::fails",), exit_code=1))], 1),
        ([FINE, Ran("Redis 8.2", "PATH", "Sentinel", Counts(exit_code=5))], 1),
        ([FINE, Ran("Redis 8.2", "PATH", "Sentinel", Counts(passed=3, exit_code=2))], 1),
    ],
    ids=["nothing", "none to be had", "one ran", "a failure", "nothing selected", "interrupted"],
)
def test_the_exit_code_is_0_only_if_something_ran_and_all_of_it_passed(rows: list[Ran | Absent], expected: int) -> None:
    assert exit_code(rows) == expected


def test_the_account_is_a_table_with_the_reasons_below() -> None:
    bad = Ran("Redis 8.2.3", "wheel", "Sentinel", Counts(7, ("a::fails",), Counter({"needs root": 2}), 12.4, 1))
    assert report([FINE, bad, AWAY]) == (
        "| server       | from  | what       | passed | failed | skipped | seconds |\n"
        "|--------------|-------|------------|--------|--------|---------|---------|\n"
        "| Valkey 9.1.2 | PATH  | one server | 3      | 0      | 0       | 2       |\n"
        "| Redis 8.2.3  | wheel | Sentinel   | 7      | 1      | 2       | 12      |\n"
        "\n"
        "skipped on Redis 8.2.3, Sentinel: 2 × needs root\n"
        "\n"
        "failed on Redis 8.2.3, Sentinel: a::fails\n"
        "\n"
        "could not run on Debian's Redis: apt-get: No such file or directory"
    )


def test_a_run_that_pytest_did_not_finish_is_a_failure_that_is_named() -> None:
    assert "failed on Valkey 9.1.2, Sentinel: pytest ended with 2" in report(
        [Ran("Valkey 9.1.2", "PATH", "Sentinel", Counts(exit_code=2))]
    )


@pytest.mark.parametrize("kind", TESTS)
def test_the_tests_of_each_store_are_files_that_exist(kind: str) -> None:
    folder = Path(__file__).parents[1] / "integration"
    assert all(list(folder.glob(f"{name}.py")) for name in TESTS[kind])
    assert len(files(kind, folder)) >= len(TESTS[kind])


def test_images_are_named_by_the_environment_and_told_apart_by_name() -> None:
    assert chosen_images({}) == list(DEFAULT_IMAGES)
    named = chosen_images({"M10_TEST_IMAGES": "localhost:5000/library/postgres:18  valkey/valkey:9"})
    assert [kind_of(image) for image in named] == ["postgres", "redis"]


def test_the_environment_names_programs_and_servers_that_run(tmp_path: Path) -> None:
    server = program(tmp_path, "redis-server", "")
    program(tmp_path, "initdb", "")
    environ = {"M10_TEST_VALKEY_SERVER": str(server), "M10_TEST_POSTGRES": str(tmp_path)}
    assert Chosen.of(environ) == Chosen(Programs(server, tmp_path), None, None)
    with pytest.raises(EmbeddedError, match=r"M10_TEST_POSTGRES: .*/none/initdb is no program that can be run"):
        Chosen.of({"M10_TEST_POSTGRES": f"{tmp_path}/none"})


def test_a_server_that_runs_is_reached_as_each_user() -> None:
    running = RunningPostgres("postgresql://postgres@127.0.0.1:32768/postgres")
    assert running.postgres_url("m10_app", "m10_test_1") == "postgresql://m10_app@127.0.0.1:32768/m10_test_1"


def test_an_image_has_the_server_a_shell_and_their_libraries_each_once_and_open_to_all(tmp_path: Path) -> None:
    server = program(tmp_path, "redis-server", "")
    archive = BytesIO()
    with tarfile.open(fileobj=archive, mode="w", dereference=True) as tar:
        fill(tar, Binary("redis", server, "Redis 7.0", "PATH"))
        members = {each.name: each for each in tar.getmembers()}
        assert len(members) == len(tar.getmembers())
    assert {"bin/sh", "etc/passwd", "start", str(server).lstrip("/")} <= members.keys()
    assert any(name.rpartition("/")[2].startswith("libc.so") for name in members)
    assert all(each.mode & (0o555 if each.isdir() else 0o444) for each in members.values())
    assert members["tmp"].mode == 0o1777
