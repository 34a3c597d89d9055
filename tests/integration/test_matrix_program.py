"""The matrix of servers as a program, on one server and one small file."""

import subprocess
import sys
from pathlib import Path

from m10actors.embedded.binaries import valkey_command

TESTS = """
import pytest
import redis

def test_the_server_is_the_one_that_was_named(redis_url):
    with redis.Redis.from_url(redis_url) as client:
        assert client.info("server")["executable"] == {executable!r}

def test_that_fails(redis_url):
    raise AssertionError

def test_that_is_skipped(redis_url):
    pytest.skip("needs another server")

def test_without_redis():
    raise AssertionError("not selected")
"""


def test_the_program_runs_a_part_on_the_server_that_is_named_and_gives_the_account(tmp_path: Path) -> None:
    [server] = valkey_command()
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["m10actors.testing.plugin"]\n')
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = -p no:cacheprovider -p no:valkey\n")
    (tmp_path / "test_one.py").write_text(TESTS.format(executable=server))
    matrix = [sys.executable, "-m", "m10actors.testing.matrix", "--redis", server, "--part", "one server"]
    ran = subprocess.run([*matrix, str(tmp_path)], check=False, capture_output=True, text=True, cwd=tmp_path)
    assert ran.returncode == 1, ran.stdout + ran.stderr
    [line] = [line for line in ran.stdout.splitlines() if line.startswith("| Valkey")]
    assert [cell.strip() for cell in line.split("|")[2:-2]] == ["named", "one server", "1", "1", "1"]
    assert "one server: 1 × needs another server" in ran.stdout
    assert "one server: test_one::test_that_fails" in ran.stdout
