"""The command in this process: as `m10` runs it, in a clean surrounding, without the time that a process takes."""

import json
import logging
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import pytest

from m10actors.cli.main import main


@dataclass(frozen=True)
class Ran:
    """How a call of the command ended, and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def rows(self) -> list[list[str]]:
        """A table as a pipe gets it, without the names of the columns."""
        return [line.split("\t") for line in self.out.splitlines()[1:]]


class Command:
    """Called with the words after `m10`. Its environment has only what is given, its working folder is its home."""

    def __init__(self, patch: pytest.MonkeyPatch, capture: pytest.CaptureFixture[str], home: Path) -> None:
        self._patch = patch
        self._capture = capture
        self.home = home
        self.always: dict[str, str] = {}

    def __call__(self, *words: str, stdin: bytes = b"", **environ: str) -> Ran:
        self._capture.readouterr()
        with self._patch.context() as patch, TemporaryFile() as given, os.fdopen(os.dup(given.fileno())) as read:
            given.write(stdin)
            given.seek(0)
            patch.setattr(sys, "stdin", read)
            patch.setattr(sys, "argv", ["m10", *words])
            patch.chdir(self.home)
            for name in os.environ:
                patch.delenv(name)
            for name, value in ({"HOME": str(self.home), "COLUMNS": "200"} | self.always | environ).items():
                patch.setenv(name, value)
            with pytest.raises(SystemExit) as ended:
                main()
        out, err = self._capture.readouterr()
        return Ran(int(ended.value.code or 0), out, err)


@pytest.fixture
def m10(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Iterator[Command]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield Command(monkeypatch, capsys, tmp_path)
    root.handlers[:] = handlers
    root.setLevel(level)
