"""Failpoints fire where and when they are told to, and never in production."""

import os
import signal
import subprocess
import sys
import time

import pytest

from m10actors.testing.failpoints import armed, failpoint, parse, refuse_in_production

PROGRAM = """
from m10actors.testing.failpoints import failpoint, refuse_in_production
refuse_in_production()
for step in range(3):
    failpoint("step")
    print(step, flush=True)
"""


def run(**environ: str) -> subprocess.Popen[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("M10_")}
    pipe = subprocess.PIPE
    return subprocess.Popen([sys.executable, "-c", PROGRAM], env=clean | environ, stdout=pipe, stderr=pipe, text=True)


def test_a_failpoint_that_is_not_armed_does_nothing() -> None:
    with armed("elsewhere:raise:OSError"):
        failpoint("here")


def test_it_fires_at_the_first_hit_and_only_then() -> None:
    with armed("here:raise:OSError"):
        with pytest.raises(OSError, match="failpoint"):
            failpoint("here")
        failpoint("here")


def test_it_fires_at_the_nth_hit() -> None:
    with armed("other:exit, here:raise:KeyError:3"):
        failpoint("here")
        failpoint("here")
        with pytest.raises(KeyError):
            failpoint("here")
        failpoint("here")


def test_a_delay_takes_its_time() -> None:
    with armed("here:delay:30"):
        before = time.monotonic()
        failpoint("here")
        assert time.monotonic() - before >= 0.03


def test_arming_ends_with_the_block() -> None:
    with armed("here:raise:OSError"):
        pass
    failpoint("here")


@pytest.mark.parametrize(
    "text",
    ["here", "here:explode", "here:raise", "here:raise:NoSuchError", "here:raise:print", "here:kill:0", "a:kill:1:2"],
)
def test_what_is_not_understood_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"not a failpoint|no exception"):
        parse(text)


@pytest.mark.parametrize(("action", "status"), [("kill", -signal.SIGKILL), ("exit", 1)])
def test_a_process_dies_at_its_failpoint(action: str, status: int) -> None:
    with run(M10_FAILPOINTS=f"step:{action}:2", M10_TESTING="1") as process:
        out, _ = process.communicate(timeout=30)
    assert (process.returncode, out) == (status, "0\n")


def test_a_process_stops_at_its_failpoint_and_goes_on_when_told() -> None:
    with run(M10_FAILPOINTS="step:stop", M10_TESTING="1") as process:
        _, status = os.waitpid(process.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        process.send_signal(signal.SIGCONT)
        out, _ = process.communicate(timeout=30)
    assert (process.returncode, out) == (0, "0\n1\n2\n")


def test_failpoints_without_the_test_marker_refuse_the_start() -> None:
    with run(M10_FAILPOINTS="step:kill") as process:
        out, errors = process.communicate(timeout=30)
    assert (process.returncode, out) == (2, "")
    assert "M10_TESTING" in errors


def test_the_test_marker_alone_changes_nothing() -> None:
    refuse_in_production({"M10_TESTING": "1"})
    with run(M10_TESTING="1") as process:
        out, _ = process.communicate(timeout=30)
    assert (process.returncode, out) == (0, "0\n1\n2\n")
