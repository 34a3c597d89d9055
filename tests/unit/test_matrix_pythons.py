"""The matrix of Pythons: which are found, what they tell, and why one cannot be run."""

import sys
from pathlib import Path

import pytest

from m10actors.testing.matrix import pythons
from m10actors.testing.matrix.pythons import Python, find, told
from m10actors.testing.matrix.rows import Absent

HERE = sys.version_info[:3]


def interpreter(place: Path, answer: str) -> str:
    """A program that tells what an interpreter would."""
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(f"#!/bin/sh\n{answer}\n")
    place.chmod(0o755)
    return str(place)


def test_an_interpreter_tells_its_version() -> None:
    python = told(sys.executable)
    assert isinstance(python, Python)
    assert python.version == HERE


def test_a_free_threaded_one_has_a_name_of_its_own_and_runs_without_the_lock(tmp_path: Path) -> None:
    python = told(interpreter(tmp_path / "python3.13t", "echo cpython 3 13 15 1"))
    assert isinstance(python, Python)
    assert (python.name, python.environ) == ("Python 3.13.15t", {"PYTHON_GIL": "0"})
    plain = told(interpreter(tmp_path / "python3.13", "echo cpython 3 13 15 0"))
    assert isinstance(plain, Python)
    assert (plain.name, plain.environ) == ("Python 3.13.15", {})


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("exit 127", "non-zero exit status 127"),
        ("echo pypy 3 11 9 0", "it is pypy, and CPython is what the dependencies are built for"),
    ],
    ids=["a shim that leads nowhere", "another implementation"],
)
def test_what_cannot_be_used_is_absent_with_the_reason(answer: str, reason: str, tmp_path: Path) -> None:
    absent = told(interpreter(tmp_path / "python3", answer))
    assert isinstance(absent, Absent)
    assert reason in absent.reason


def test_each_version_is_found_once_wherever_it_lies_the_oldest_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = interpreter(tmp_path / "bin/python3.13", "echo cpython 3 13 0 0")
    interpreter(tmp_path / "bin/python3.14", "exit 127")
    interpreter(tmp_path / ".pyenv/versions/3.13.0/bin/python", "echo cpython 3 13 0 0")
    second = interpreter(tmp_path / ".pyenv/versions/3.12.1/bin/python", "echo cpython 3 12 1 0")
    interpreter(tmp_path / ".pyenv/versions/3.10.13/bin/python", "echo cpython 3 10 13 0")
    third = interpreter(tmp_path / ".local/share/uv/python/cpython-3.13.0t/bin/python", "echo cpython 3 13 0 1")
    monkeypatch.setenv("PATH", f"{tmp_path}/bin")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert [python.path for python in find()] == [second, first, third]


def test_one_without_the_dependencies_is_absent_with_what_pip_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)  # here is no project to install
    assert pythons.main(["--python", sys.executable]) == 1
    said = capsys.readouterr().out
    assert f"could not run on Python {'.'.join(map(str, HERE))}" in said
    assert "ERROR: " in said


def test_a_named_one_that_is_not_there_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert pythons.main(["--python", "/nonexistent/python"]) == 1
    assert "could not run on /nonexistent/python: " in capsys.readouterr().out
