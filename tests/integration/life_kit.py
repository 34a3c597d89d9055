"""`m10 run` as a process of its own, with its configuration in a file, its log as events, and the ear of a service
manager.
"""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from m10actors.cli import operations
from m10actors.testing.database import MigratedDatabase
from m10actors.testing.waiting import eventually

COMMAND = [sys.executable, "-m", "m10actors"]
QUICK = {"tree.pause_monitor.poll": "20ms", "process.grace": "5s", "process.log_format": "json"}


@dataclass
class Engine:
    """One process after another on the same stores and run folder."""

    folder: Path
    database: MigratedDatabase
    redis_url: str
    settings: dict[str, object] = field(default_factory=dict)
    process: "subprocess.Popen[bytes] | None" = None
    ear: socket.socket | None = None

    @property
    def config(self) -> Path:
        return self.folder / "m10.toml"

    def write(self, text: str = "", **more: object) -> None:
        """The configuration; `text` goes to its end as it is."""
        values = QUICK | {
            "database.url": self.database.url("app"),
            "database.ops_url": self.database.url("ops"),
            "database.metrics_url": self.database.url("metrics"),
            "redis.url": self.redis_url,
            "http.listen": "127.0.0.1:0",
            "process.run_dir": str(self.folder / "run"),
        }
        values |= self.settings | {key.replace("__", "."): value for key, value in more.items()}
        lines = [f"{key} = {json.dumps(value)}" for key, value in values.items()]
        self.config.write_text("\n".join([*lines, text]) + "\n")

    def launch(self, **environ: str) -> "subprocess.Popen[bytes]":
        """Starts a process and waits for nothing; its log begins anew."""
        if not self.config.exists():
            self.write()
        self.log.unlink(missing_ok=True)
        environ |= {"PATH": os.environ["PATH"], "HOME": str(self.folder), "M10_TESTING": "1"}
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(
                [*COMMAND, "run", "-c", str(self.config)], stdout=out, stderr=out, env=environ
            )
        return self.process

    def start(self, **environ: str) -> "subprocess.Popen[bytes]":
        """Starts a process and waits until all its listeners listen and its tree is up."""
        process = self.launch(**environ)
        eventually(lambda: self.facts().get("api"), within=30, every=0.02)
        eventually(lambda: self.events("leader_elected") or self.events("part_paused"), within=30, every=0.02)
        return process

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """The exit code after a signal."""
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(30)

    def ask(self, path: str, request: Mapping[str, object] | None = None) -> Any:
        """The answer of the operations listener, as the verbs ask for it."""
        return operations.ask(self.facts()["ops"][0], path, None, request)

    def m10(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        environ = {"PATH": os.environ["PATH"], "HOME": str(self.folder)}
        command = [*COMMAND, *arguments, "-c", str(self.config)]
        return subprocess.run(command, capture_output=True, text=True, env=environ, timeout=30, check=False)

    def facts(self) -> Mapping[str, Any]:
        """What the instance file of the present process says."""
        assert self.process is not None
        assert self.process.poll() is None, self.log.read_text()
        for path in (self.folder / "run" / "instances").glob("*.json"):
            with suppress(ValueError, OSError):
                facts: Mapping[str, Any] = json.loads(path.read_text())
                if facts.get("pid") == self.process.pid:
                    return facts
        return {}

    @property
    def log(self) -> Path:
        return self.folder / "run.log"

    def events(self, name: str) -> list[Mapping[str, Any]]:
        """The log lines of this event."""
        return [line for line in self._lines() if line["event"] == name]

    def _lines(self) -> Iterator[Mapping[str, Any]]:
        for text in self.log.read_text().splitlines():
            with suppress(ValueError):
                yield json.loads(text)

    def listen(self, watchdog: float | None = None) -> dict[str, str]:
        """Opens the ear of a service manager; the environment that says where it is."""
        path = self.folder / "notify"
        self.ear = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.ear.settimeout(20)
        self.ear.bind(str(path))
        return {"NOTIFY_SOCKET": str(path)} | ({"WATCHDOG_USEC": str(int(watchdog * 1e6))} if watchdog else {})

    def hear(self, word: str) -> str:
        """Waits for the next message that has this word; the whole message."""
        assert self.ear is not None
        while word not in (heard := self.ear.recv(8192).decode()):
            continue
        return heard

    def close(self) -> None:
        """No process is left, whatever a test did."""
        if self.ear is not None:
            self.ear.close()
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait(30)
