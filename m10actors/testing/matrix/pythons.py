"""The whole suite on every Python that can be found: `make test-pythons`.

Each gets an environment of its own, in a temporary folder, with the versions of constraints.txt. Looked for are
python3.11 and newer on the path, free-threaded ones (python3.13t) among them, and those that pyenv and uv keep.
"""

import shutil
import subprocess
import sys
import tempfile
from argparse import ArgumentParser
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from m10actors.testing.matrix.rows import Absent, Part, Ran, Row, exit_code
from m10actors.testing.matrix.running import run
from m10actors.testing.matrix.table import report

_TELL = (
    "import sys, sysconfig; "
    "print(sys.implementation.name, *sys.version_info[:3], int(bool(sysconfig.get_config_var('Py_GIL_DISABLED'))))"
)
_MINORS = range(11, 20)
_KEPT = ("~/.pyenv/versions/*/bin/python", "~/.local/share/uv/python/*/bin/python")
_SUITE = Part("whole suite", "")
_OPTIONS = ("-n", "2", "--dist", "loadgroup")


@dataclass(frozen=True, slots=True)
class Python:
    """An interpreter that told what it is."""

    path: str
    version: tuple[int, int, int]
    is_free_threaded: bool
    """Whether it was built to run without the GIL."""

    @property
    def name(self) -> str:
        return f"Python {'.'.join(map(str, self.version))}{'t' * self.is_free_threaded}"

    @property
    def environ(self) -> Mapping[str, str]:
        """Without the GIL even where an extension would switch it on again."""
        return {"PYTHON_GIL": "0"} if self.is_free_threaded else {}


def main(words: Sequence[str] | None = None) -> int:
    """Find, install, run, print; 1 if something failed or nothing ran."""
    parser = ArgumentParser("python -m m10actors.testing.matrix.pythons", description=__doc__)
    parser.add_argument("--python", action="append", default=[], help="only this one (repeatable)")
    parser.add_argument("pytest", nargs="*", help="tests and options for pytest, after --")
    options = parser.parse_args(words)
    chosen: Sequence[Python | Absent] = [told(path) for path in options.python] or find()
    rows = [row if isinstance(row, Absent) else _row(row, options.pytest or _OPTIONS) for row in chosen]
    print(f"\n{report(rows, 'Python')}")
    return exit_code(rows)


def find() -> list[Python]:
    """One of each version that there is here, the oldest first."""
    found = [python for path in _places() if isinstance(python := told(path), Python) and python.version >= (3, 11)]
    firsts = {python.name: python for python in reversed(found)}
    return sorted(firsts.values(), key=lambda python: (python.version, python.is_free_threaded))


def told(path: str) -> Python | Absent:
    """The interpreter at `path`, if it runs here; it may be a name to be found on the path."""
    try:
        answer = subprocess.run([path, "-c", _TELL], check=True, capture_output=True, text=True, timeout=60).stdout
    except (OSError, subprocess.SubprocessError) as error:
        return Absent(path, str(error))
    implementation, *numbers = answer.split()
    if implementation != "cpython":
        return Absent(path, f"it is {implementation}, and CPython is what the dependencies are built for")
    major, minor, micro, is_free_threaded = map(int, numbers)
    return Python(path, (major, minor, micro), bool(is_free_threaded))


def _places() -> Iterator[str]:
    names = (f"python3.{minor}{suffix}" for minor in _MINORS for suffix in ("", "t"))
    yield from (path for path in map(shutil.which, names) if path)
    for pattern in _KEPT:
        yield from map(str, sorted(Path.home().glob(pattern.removeprefix("~/"))))


def _row(python: Python, options: Sequence[str]) -> Row:
    with tempfile.TemporaryDirectory(prefix="m10-python-") as folder:
        Path(folder).chmod(0o755)  # a test runs it as another user
        print(f"\n{python.name} ({python.path}): installing", flush=True)
        if reason := _installed(python, Path(folder)):
            return Absent(python.name, reason)
        print(f"{python.name} ({python.path}): {_SUITE.name}", flush=True)
        counts = run(_SUITE, options, python.environ, f"{folder}/bin/python")
        return Ran(python.name, python.path, _SUITE.name, counts)


def _installed(python: Python, folder: Path) -> str:
    """The project and its test tools, into an environment in `folder`; why not, if that cannot be."""
    pip = [f"{folder}/bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    for command in (
        [python.path, "-m", "venv", str(folder)],
        [*pip, "--constraint", "constraints.txt", "--editable", ".[dev]"],
    ):
        ended = subprocess.run(command, check=False, capture_output=True, text=True)
        if ended.returncode:
            said = (ended.stderr or ended.stdout).strip().splitlines() or [f"it ended with {ended.returncode}"]
            return next((line for line in said if line.startswith("ERROR: ")), said[-1])
    return ""


if __name__ == "__main__":
    sys.exit(main())
