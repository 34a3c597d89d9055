"""`m10 run` as a process of its own on the servers of a stage, and a bare endpoint to compare it with."""

import http.client
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from bench.stage import Stage
from m10actors import instance

T = TypeVar("T")
NO_LIMIT = 1_000_000


@dataclass(frozen=True, slots=True)
class Served:
    """A process that has served its first request at `host:port`, `seconds` after its start."""

    process: "subprocess.Popen[bytes]"
    address: str
    seconds: float

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def resident_mb(self) -> float:
        """What it holds in memory."""
        return self._memory_mb("VmRSS")

    @property
    def peak_mb(self) -> float:
        """The most that it has held in memory."""
        return self._memory_mb("VmHWM")

    def _memory_mb(self, field: str) -> float:
        [line] = (line for line in Path(f"/proc/{self.pid}/status").read_text().splitlines() if field in line)
        return int(line.split()[1]) / 1024


@contextmanager
def m10_run(
    stage: Stage, name: str = "run", changes: Mapping[str, object] | None = None, failpoints: str = ""
) -> Iterator[Served]:
    """The engine, from when it is ready. `name`: of its run folder; processes that know of each other share one."""
    run_dir = stage.folder / name
    settings = {
        **stage.settings(),
        "http.listen": "127.0.0.1:0",
        "http.token_rate": NO_LIMIT,
        "http.token_burst": NO_LIMIT,
        "process.run_dir": str(run_dir),
        **(changes or {}),
    }
    file = stage.folder / f"{name}.toml"
    file.write_text("".join(_toml(settings)))

    def listening() -> str | None:
        urls = (str(known.facts["api"]) for known in instance.known(run_dir) if known.alive and "api" in known.facts)
        return next(urls, "").removeprefix("http://") or None

    command = [sys.executable, "-m", "m10actors", "run", "--config", str(file)]
    variables = {"M10_TESTING": "1", "M10_FAILPOINTS": failpoints} if failpoints else {}
    with _served(command, stage.folder, listening, "/readyz", variables) as served:
        yield served


def _toml(settings: Mapping[str, object]) -> Iterator[str]:
    for key, value in settings.items():
        if isinstance(value, Mapping):
            yield from _toml({f"{key}.{name}": each for name, each in value.items()})
        else:
            yield f"{key} = {json.dumps(value)}\n"


@contextmanager
def bare_endpoint(stage: Stage) -> Iterator[Served]:
    """What somebody writes who only needs failures to be stored: see bench/bare.py."""
    told = stage.folder / "bare"
    told.unlink(missing_ok=True)

    def listening() -> str | None:
        return (told.read_text() if told.exists() else "") or None

    command = [sys.executable, "-m", "bench.bare", stage.postgres_url("m10_app"), str(told)]
    with _served(command, stage.folder, listening, "/") as served:
        yield served


@contextmanager
def _served(
    command: Sequence[str],
    folder: Path,
    listening: Callable[[], str | None],
    ready: str,
    variables: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[Served]:
    log = folder / "process.log"
    started = time.monotonic()
    with log.open("ab") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env={**os.environ, **variables})

    def until(found: Callable[[], T | None]) -> T:
        while (answer := found()) is None:
            if process.poll() is not None:
                raise RuntimeError(f"{' '.join(command)} ended: {log.read_text()}")
            time.sleep(0.005)
        return answer

    try:
        address = until(listening)
        until(lambda: _is_ready(address, ready) or None)
        yield Served(process, address, time.monotonic() - started)
    finally:
        process.terminate()
        process.wait(30)


def _is_ready(address: str, path: str) -> bool:
    connection = http.client.HTTPConnection(address, timeout=10)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()
