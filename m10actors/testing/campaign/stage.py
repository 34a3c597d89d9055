"""What a campaign plays on: servers, a receiver with a ledger on disk, and `m10 run` as processes of their own."""

import http.client
import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Self
from urllib.parse import quote

from m10actors.embedded import EmbeddedServers
from m10actors.postgres import tokens
from m10actors.postgres.migrate import create_database, migrate
from m10actors.postgres.pool import Database
from m10actors.recovery.actions import SEEDED_ACTIONS
from m10actors.shipped import shipped
from m10actors.testing.ledger import Ledger
from m10actors.testing.proxy import FaultProxy
from m10actors.testing.receiver import Receiver
from m10actors.testing.waiting import eventually

DATABASE = "campaign"
START_WITHIN = 30.0
END_WITHIN = 40.0


class Engine:
    """One `m10 run`, that dies and starts again on the same run folder."""

    def __init__(self, folder: Path, name: str, settings: Mapping[str, object]) -> None:
        self.name = name
        self.run_dir = folder / f"run{name}"
        self.config = folder / f"m10{name}.toml"
        self.log = folder / f"m10{name}.log"
        self.process: subprocess.Popen[bytes] | None = None
        self.port = 0
        lines = {**settings, "process.run_dir": str(self.run_dir)}
        self.config.write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in lines.items()))

    def start(self, **environ: str) -> None:
        """Returns when its endpoint answers; RuntimeError if it ends before. `environ` adds to its environment."""
        self.launch(**environ)
        self.port = eventually(self._listening, within=START_WITHIN)

    def launch(self, **environ: str) -> int:
        """Returns at once, with the pid."""
        command = [sys.executable, "-m", "m10actors", "run", "-c", str(self.config)]
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(command, stdout=out, stderr=out, env=_environment() | environ)
        return self.process.pid

    def kill(self) -> None:
        """kill -9, at whatever instruction it is."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """SIGTERM; the exit code, as subprocess gives it."""
        return self._end(signal.SIGTERM)

    def log_tail(self, lines: int = 40) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:]) if self.log.exists() else ""

    def _end(self, number: signal.Signals) -> int:
        process, self.process = self.process, None
        if process is None:
            return 0
        process.send_signal(number)
        return process.wait(END_WITHIN)

    def _listening(self) -> int:
        assert self.process is not None
        if self.process.poll() is not None:
            raise RuntimeError(f"m10 run ended with {self.process.returncode}:\n{self.log_tail()}")
        for path in (self.run_dir / "instances").glob("*.json"):
            with suppress(ValueError, OSError):
                facts = json.loads(path.read_text())
                if facts.get("pid") == self.process.pid and facts.get("api"):
                    return int(facts["api"].rpartition(":")[2])
        return 0


class Stage:
    """The servers and `engines` processes of one installation, each with a run folder of its own: as many hosts.

    `proxied`: the engines reach Valkey through `redis_proxy`, and PostgreSQL and the harness itself directly.
    """

    def __init__(
        self,
        folder: Path,
        settings: Mapping[str, object] | None = None,
        *,
        engines: int = 1,
        proxied: bool = False,
        fsync: bool = False,
    ) -> None:
        self.folder = folder
        self.servers = EmbeddedServers(folder / "stores", fsync=fsync)
        self.engines: list[Engine] = []
        self.redis_proxy: FaultProxy | None = None
        self._settings = settings or {}
        self._wanted = engines
        self._proxied = proxied
        self._undo = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            undo.callback(self.servers.stop)
            addresses = self.servers.start()
            create_database(addresses.postgres_superuser_url, DATABASE)
            migrate(addresses.postgres_url("postgres", DATABASE), shipped("schema"))
            self.redis_url = addresses.redis_url
            self.superuser_url = addresses.postgres_url("postgres", DATABASE)
            self.urls = {role: addresses.postgres_url(f"m10_{role}", DATABASE) for role in ("app", "ops", "metrics")}
            self.ops = undo.enter_context(Database(self.urls["ops"], name="harness", size=2))
            self.token = tokens.create(self.ops, "harness", ["recovery:write"])
            self.receiver = undo.enter_context(Receiver(ledger=Ledger(self.folder / "receiver.jsonl")))
            if self._proxied:
                socket = addresses.socket_dir / "proxy.sock"
                self.redis_proxy = undo.enter_context(FaultProxy(addresses.valkey_socket, socket))
                self.redis_url = f"unix://{quote(str(socket))}"
            undo.callback(self.kill)
            names = ["", *(f".{number}" for number in range(2, self._wanted + 1))]
            self.engines = [Engine(self.folder, name, self._engine_settings()) for name in names]
            self._undo = undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._undo.close()

    def start(self) -> None:
        """Starts the engines that do not run; returns when their endpoints answer."""
        for engine in self.engines:
            if engine.process is None:
                engine.start()

    def kill(self) -> None:
        """kill -9 of all engines."""
        for engine in self.engines:
            engine.kill()

    def stop(self) -> int:
        """SIGTERM to one engine after the other; the largest exit code."""
        return max(abs(engine.stop()) for engine in self.engines)

    def post(self, items: list[dict[str, object]], timeout: float = 5.0) -> bool:
        """Sends a batch to some engine; whether it was taken. False is ambiguous: it may have been stored."""
        engine = random.choice(self.engines)
        try:
            connection = http.client.HTTPConnection("127.0.0.1", engine.port, timeout=timeout)
            headers = {"authorization": f"Bearer {self.token}", "content-type": "application/json"}
            connection.request("POST", "/api/v1/recovery/ingest/batch", json.dumps(items), headers)
            answer = connection.getresponse()
            answer.read()
            connection.close()
        except (OSError, http.client.HTTPException):
            return False
        return answer.status < 300

    def log_tail(self) -> str:
        return "\n".join(f"{engine.log.name}:\n{engine.log_tail()}" for engine in self.engines)

    def _engine_settings(self) -> dict[str, object]:
        settings: dict[str, object] = {
            "database.url": self.urls["app"],
            "database.ops_url": self.urls["ops"],
            "database.metrics_url": self.urls["metrics"],
            "redis.url": self.redis_url,
            "http.listen": "127.0.0.1:0",
            "outbox.lock_ttl": "15s",
            "decisions.auto_execute": True,
            **{f"autonomy.per_{each}": 1_000_000 for each in ("candidate", "source", "action", "hour")},
            "destinations.receiver.url": self.receiver.url,
            "destinations.receiver.allow_http": True,
            "destinations.receiver.allow_networks": ["127.0.0.0/8"],
        }
        for code in SEEDED_ACTIONS:
            settings |= {f"actions.{code}.event": "webhook:recovery", f"actions.{code}.destination": "receiver"}
        return settings | dict(self._settings)


def _environment() -> dict[str, str]:
    ours = ("M10_", "OUTBOX_", "RECOVERY_", "DATABASE_URL", "REDIS_URL")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}
