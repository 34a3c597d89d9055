"""The peers' own Python environment, thrown away with its folder."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
SHARED = ("psycopg[binary,pool]>=3.2,<4", "redis>=5,<9")
"""What the handlers need."""


class NotInstalled(Exception):
    """A package that pip cannot get; says why."""


@dataclass(frozen=True, slots=True)
class Environment:
    """A virtual environment in a folder."""

    folder: Path

    @classmethod
    def make(cls, folder: Path, python: str) -> "Environment":
        subprocess.run([python, "-m", "venv", str(folder)], check=True, capture_output=True)
        made = cls(folder)
        made.install(SHARED)
        return made

    def install(self, packages: Sequence[str]) -> str:
        """Each at its newest version; that of the first one."""
        pip = [self.program("python"), "-m", "pip", "--disable-pip-version-check"]
        ran = subprocess.run([*pip, "install", "--quiet", *packages], capture_output=True, text=True, check=False)
        if ran.returncode != 0:
            raise NotInstalled(ran.stderr.strip().rpartition("\n")[2])
        name = packages[0].partition("[")[0]
        shown = subprocess.run([*pip, "show", name], capture_output=True, text=True, check=True)
        return next(line.partition(" ")[2] for line in shown.stdout.splitlines() if line.startswith("Version:"))

    def program(self, name: str) -> str:
        return str(self.folder / "bin" / name)

    def variables(self, given: Mapping[str, str]) -> Mapping[str, str]:
        """For its programs, which find the modules of this folder."""
        return {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", **given}
