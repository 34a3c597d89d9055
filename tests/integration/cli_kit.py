"""What the tests of the command share: the command in a clean surrounding, and an instance that `m10 run` runs."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from command_kit import Command

from m10actors import instance
from m10actors.testing.database import MigratedDatabase
from m10actors.testing.waiting import eventually

COMMAND = [sys.executable, "-m", "m10actors"]


@dataclass(frozen=True)
class M10:
    """The command, called in a folder that is also its home, with nothing of ours in its environment."""

    folder: Path

    def environ(self, **more: str) -> dict[str, str]:
        return {"PATH": os.environ["PATH"], "HOME": str(self.folder), "M10_TESTING": "1"} | more

    def __call__(self, *arguments: str, stdin: bytes = b"", **environ: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [*COMMAND, *arguments],
            cwd=self.folder,
            env=self.environ(**environ),
            input=stdin,
            capture_output=True,
            check=False,
            timeout=60,
        )

    def begin(self, *arguments: str, **environ: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [*COMMAND, *arguments],
            cwd=self.folder,
            env=self.environ(**environ),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )


@dataclass(frozen=True)
class M10Here(M10):
    """The same, called in this process, which saves the start of one. What is begun is a process all the same."""

    command: Command

    def __call__(self, *arguments: str, stdin: bytes = b"", **environ: str) -> subprocess.CompletedProcess[bytes]:
        ran = self.command(*arguments, stdin=stdin, **environ)
        return subprocess.CompletedProcess(["m10", *arguments], ran.code, ran.out.encode(), ran.err.encode())


@dataclass(frozen=True)
class Running:
    """A live instance, and what its file says."""

    facts: Mapping[str, object]

    @property
    def api(self) -> str:
        return str(self.facts["api"])

    @property
    def ops(self) -> list[str]:
        listed = self.facts["ops"]
        assert isinstance(listed, list)
        return listed


@contextmanager
def running(m10: M10, database: MigratedDatabase, redis_url: str, run_dir: Path) -> Iterator[Running]:
    """An instance on the given stores, from when it listens until it has drained."""
    before = {one.worker for one in instance.known(run_dir)}
    log = m10.folder / "run.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            [*COMMAND, "run"],
            cwd=m10.folder,
            stdout=output,
            stderr=output,
            env=m10.environ(
                DATABASE_URL=database.url("app"),
                M10_OPS_DATABASE_URL=database.url("ops"),
                M10_METRICS_DATABASE_URL=database.url("metrics"),
                REDIS_URL=redis_url,
                M10_RUN_DIR=str(run_dir),
                M10_HTTP_LISTEN="127.0.0.1:0",
                M10_OPS_LISTEN="unix:,127.0.0.1:0",
            ),
        )

    def listening() -> Running | None:
        assert process.poll() is None, log.read_text()
        new = [one for one in instance.known(run_dir) if one.worker not in before and "api" in one.facts]
        return Running(new[0].facts) if new else None

    try:
        found = eventually(listening, within=30.0, every=0.05)
        assert found is not None
        yield found
    finally:
        process.terminate()
        assert process.wait(timeout=30) == 0, log.read_text()
