"""The `m10` command as a whole: its list of verbs, its exit codes, its words when something is wrong."""

import os
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

import pytest

import m10actors
from m10actors.cli.errors import CommandError, ExitCode, Unreachable, WrongUsage, explain
from m10actors.cli.main import VERBS, Verb, load
from m10actors.cli.options import setting
from m10actors.config import ConfigError, Problem
from m10actors.embedded import DataFolderInUse, EmbeddedError
from m10actors.instance import RunFolderError
from m10actors.postgres.errors import NotPermitted, StoreRefused, StoreUnavailable
from m10actors.postgres.migrate import MigrationError
from m10actors.streams import Cause, RedisMisconfigured, RedisUnavailable


def m10(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "m10actors", *arguments],
        capture_output=True,
        check=False,
        text=True,
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent"} | environ,
        timeout=60,
    )


def test_the_version_is_printed() -> None:
    result = m10("--version")
    assert (result.returncode, result.stdout) == (0, f"m10 {m10actors.__version__}\n")


def test_help_lists_each_verb_on_one_line() -> None:
    result = m10("--help", COLUMNS="100")
    assert result.returncode == 0
    for verb in VERBS:
        assert any(f" {verb.name} " in line and verb.sentence in line for line in result.stdout.splitlines())


def test_help_imports_no_verb() -> None:
    code = (
        "import sys, m10actors.cli.main; "
        "print(*{'psycopg', 'redis', 'pydantic', 'fastapi', 'httpx'} & sys.modules.keys())"
    )
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout == "\n"


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)
def test_every_verb_in_the_list_exists(verb: Verb) -> None:
    assert load(verb).name == verb.name


def test_an_unknown_verb_suggests_the_near_one() -> None:
    result = m10("statsu")
    assert result.returncode == 2
    assert "Did you mean 'status'?" in result.stderr


@pytest.mark.parametrize(("words", "expected"), [("m10 sta", "status"), ("m10 ingest --retr", "--retry-for")])
def test_the_shell_completes_verbs_and_their_options(words: str, expected: str) -> None:
    last = str(len(words.split()) - 1)
    result = m10(_M10_COMPLETE="complete_bash", COMP_WORDS=words, COMP_CWORD=last)
    assert result.stdout.split() == [expected]


def test_failpoints_outside_of_a_test_stop_the_command() -> None:
    result = m10("--version", M10_FAILPOINTS="ingest.begin:kill")
    assert (result.returncode, result.stdout) == (2, "")


def test_a_wrong_configuration_is_told_without_a_traceback(tmp_path: Path) -> None:
    file = tmp_path / "m10.toml"
    file.write_text("[intake]\nbatch_size = 0\nbatchmax = 3\n")
    result = m10("status", "-c", str(file))
    assert result.returncode == 2
    assert result.stderr.startswith("m10: 2 problems in the configuration:\n  ")
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (CommandError("x"), 1),
        (StoreRefused("x", "23505"), 1),
        (WrongUsage("x"), 2),
        (ConfigError([Problem("a.b", "x", "y", "flag")]), 2),
        (NotPermitted("x", "42501"), 2),
        (StoreRefused("x", "42883"), 2),
        (MigrationError("x"), 2),
        (RunFolderError("x"), 2),
        (DataFolderInUse(Path("x"), 1), 2),
        (RedisMisconfigured("x"), 2),
        (Unreachable("x"), 69),
        (StoreUnavailable("x"), 69),
        (RedisUnavailable(Cause.TIMEOUT, "x"), 69),
        (EmbeddedError("x"), 69),
        (KeyError("x"), 70),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_every_error_has_its_exit_code(error: Exception, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert explain(error) == code
    assert capsys.readouterr().err.startswith("m10: ")


def test_a_bug_is_one_line_that_says_how_to_learn_more(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("M10_LOG_LEVEL", raising=False)
    error = ValueError("no good: postgresql://u:s3cret@h/d")
    assert explain(error) is ExitCode.GAVE_UP
    assert capsys.readouterr().err == (
        "m10: internal error: ValueError: no good: postgresql://u:***@h/d (M10_LOG_LEVEL=debug shows where)\n"
    )


def test_debug_logging_shows_where_a_bug_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("M10_LOG_LEVEL", "debug")
    with pytest.raises(ValueError, match="s3cret") as caught:
        _raise(ValueError("password=s3cret"))
    explain(caught.value)
    said = capsys.readouterr().err
    assert "in _raise" in said
    assert "s3cret" not in said


def _raise(error: Exception) -> NoReturn:
    raise error


def test_what_a_message_quotes_cannot_forge_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    explain(WrongUsage("no file \x1b[2Jx"))
    assert capsys.readouterr().err == "m10: no file \\x1b[2Jx\n"


def test_an_option_names_the_setting_that_it_stands_for() -> None:
    assert setting("redis.url") == (
        'Address of the server (redis.url, environment REDIS_URL, default "redis://localhost:6379/0").'
    )
