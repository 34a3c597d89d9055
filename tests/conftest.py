"""What all tests share: the shipped fixtures, and the marker of tests that need what not every machine has.

`@pytest.mark.needs(what, …)`: "root", "userns" (user namespaces), "tmpfs" (one can be mounted), "user:NAME" (Python can
be run as that user), "data:NAME" (test data in ../shared/data, beside the repository), or the name of a program. Where
it is missing the test is skipped; with M10_CI_STRICT=1 a skip of any kind fails the run. The reasons for skips are
printed last, each with its count.
"""

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from m10actors.embedded.binaries import user_namespaces_refused

pytest_plugins = ["m10actors.testing.plugin"]

# How long an example takes says something about the machine only.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

# A shell starts what it runs in the background with Ctrl-C ignored, and so would be every process of a test.
signal.signal(signal.SIGINT, signal.default_int_handler)

_DATA = Path(__file__).parents[2] / "shared" / "data"

# For an interpreter that lies in the home of root: an ordinary user still, but one who may read all files.
_READ_EVERYTHING = ("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search")


@dataclass(frozen=True)
class PythonAs:
    """A way to run Python code as another user, with the packages of this run."""

    uid: int
    gid: int
    capabilities: tuple[str, ...]

    def popen(self, code: str, *args: str) -> subprocess.Popen[str]:
        user = (f"--reuid={self.uid}", f"--regid={self.gid}", "--clear-groups", *self.capabilities)
        return subprocess.Popen(
            ["setpriv", *user, sys.executable, "-B", "-c", code, *args],
            cwd="/",
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )


@pytest.fixture
def nobody() -> PythonAs:
    """For tests marked `needs("user:nobody")`."""
    python = _python_as("nobody")
    assert isinstance(python, PythonAs)
    return python


def pytest_runtest_setup(item: pytest.Item) -> None:
    for mark in item.iter_markers("needs"):
        for what in mark.args:
            if reason := _missing(what):
                pytest.skip(f"needs {what}: {reason}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Iterator[None]:
    """What a test logged may hold lone surrogates, which cannot travel to the master of pytest-xdist."""
    report = yield
    report.sections = [(name, text.encode("utf-8", "backslashreplace").decode()) for name, text in report.sections]
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    if os.environ.get("M10_CI_STRICT") == "1" and _skips(session.config) and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> Iterator[None]:
    yield
    if skips := _skips(config):
        strict = " (M10_CI_STRICT=1: a failure)" if os.environ.get("M10_CI_STRICT") == "1" else ""
        terminalreporter.section(f"skipped{strict}")
        for reason, count in skips.most_common():
            terminalreporter.line(f"{count} × {reason}")


def _skips(config: pytest.Config) -> Counter[str]:
    """How often each reason for a skip was given; nothing in a worker of pytest-xdist, which reports to its master."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    reports = reporter.stats.get("skipped", []) if reporter else []
    return Counter(
        report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr) for report in reports
    )


@cache
def _missing(what: str) -> str | None:
    """Why `what` is not to be had here; None if it is."""
    match what.partition(":"):
        case "root", _, _:
            return None if os.geteuid() == 0 else "this is not root"
        case "userns", _, _:
            return user_namespaces_refused()
        case "tmpfs", _, _:
            return _tmpfs_refused()
        case "user", _, name:
            python = _python_as(name)
            return python if isinstance(python, str) else None
        case "data", _, name:
            return None if (_DATA / name).is_dir() else "it is not in ../shared/data beside the repository"
        case _:
            return None if shutil.which(what) else "no such program"


def _tmpfs_refused() -> str | None:
    with tempfile.TemporaryDirectory() as folder:
        try:
            subprocess.run(
                ["unshare", "--mount", "mount", "-t", "tmpfs", "tmpfs", folder],
                check=True,
                capture_output=True,
                text=True,
            )
        except FileNotFoundError:
            return "the program `unshare` (util-linux) is not installed"
        except subprocess.CalledProcessError as error:
            return str(error.stderr).strip()
    return None


@cache
def _python_as(name: str) -> PythonAs | str:
    """How to run Python as the user `name`, or why it cannot be."""
    if os.geteuid() != 0:
        return "only root can run a process as another user"
    try:
        user = pwd.getpwnam(name)
    except KeyError:
        return "no such user"
    if shutil.which("setpriv") is None:
        return "the program `setpriv` (util-linux) is not installed"
    for capabilities in ((), _READ_EVERYTHING):
        python = PythonAs(user.pw_uid, user.pw_gid, capabilities)
        with python.popen("import m10actors.embedded") as process:
            process.communicate()
        if process.returncode == 0:
            return python
    return "that user cannot run this Python with its packages"
