"""One run of pytest on one server or with one Python, and its counts."""

import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.etree import ElementTree

from m10actors.testing.matrix.rows import Counts, Part


def run(part: Part, options: Sequence[str], environ: Mapping[str, str], python: str = sys.executable) -> Counts:
    """pytest with `options` on the tests of `part`; its output goes where ours goes. A skip is none of its failures."""
    with tempfile.TemporaryDirectory(prefix="m10-matrix-") as folder:
        report = Path(folder, "report.xml")
        command = [python, "-m", "pytest", "-q", "-m", part.expression, f"--junitxml={report}", *options]
        ended = subprocess.run(command, check=False, env={**os.environ, "M10_CI_STRICT": "", **environ})
        text = report.read_text() if report.exists() else "<testsuites/>"
    return counted(text, ended.returncode)


def counted(report: str, exit_code: int) -> Counts:
    """The counts of a report in JUnit's format, as pytest writes it."""
    passed = 0
    failed: list[str] = []
    skipped: Counter[str] = Counter()
    root = ElementTree.fromstring(report)
    for case in root.iter("testcase"):
        if case.find("failure") is not None or case.find("error") is not None:
            failed.append(f"{case.get('classname')}::{case.get('name')}")
        elif (skip := case.find("skipped")) is not None:
            skipped[skip.get("message", "")] += 1
        else:
            passed += 1
    seconds = sum(float(suite.get("time", 0)) for suite in root.iter("testsuite"))
    return Counts(passed, tuple(dict.fromkeys(failed)), skipped, seconds, exit_code)
