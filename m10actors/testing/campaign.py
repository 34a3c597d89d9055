"""A campaign: the real process under load, killed and starved of its stores at random moments; then the account.

`make chaos` runs it long, the acceptance tests run short, seeded slices. The schedule comes from the seed alone.
"""

import http.client
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Self
from uuid import uuid5

from m10actors.embedded import EmbeddedServers
from m10actors.postgres import tokens
from m10actors.postgres.migrate import create_database, migrate
from m10actors.postgres.pool import Database
from m10actors.recovery.actions import SEEDED_ACTIONS
from m10actors.recovery.fingerprint import NAMESPACE
from m10actors.shipped import shipped
from m10actors.testing import account
from m10actors.testing.ledger import Ledger
from m10actors.testing.receiver import Receiver
from m10actors.testing.waiting import eventually

DATABASE = "campaign"


class Stage:
    """Servers, a receiver with a ledger on disk, and `m10 run` as a process of its own."""

    def __init__(self, folder: Path, settings: dict[str, str] | None = None) -> None:
        self.folder = folder
        self.servers = EmbeddedServers(folder / "stores", fsync=False)
        self.process: subprocess.Popen[bytes] | None = None
        self.port = 0
        self.starts = 0
        self._settings = settings or {}
        self._undo = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            undo.callback(self.servers.stop)
            addresses = self.servers.start()
            create_database(addresses.postgres_superuser_url, DATABASE)
            migrate(addresses.postgres_url("postgres", DATABASE), shipped("schema"))
            self.redis_url = addresses.redis_url
            self.urls = {role: addresses.postgres_url(f"m10_{role}", DATABASE) for role in ("app", "ops", "metrics")}
            self.ops = undo.enter_context(Database(self.urls["ops"], name="harness", size=2))
            self.token = tokens.create(self.ops, "harness", ["recovery:write"])
            self.receiver = undo.enter_context(Receiver(ledger=Ledger(self.folder / "receiver.jsonl")))
            undo.callback(self.kill)
            self._write_config()
            self._undo = undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._undo.close()

    def start(self) -> None:
        """Starts `m10 run` on the same run folder as before; returns when its endpoint answers."""
        self.starts += 1
        log = self.folder / "m10.log"
        with log.open("ab") as out:
            command = [sys.executable, "-m", "m10actors", "run", "-c", str(self.folder / "m10.toml")]
            self.process = subprocess.Popen(command, stdout=out, stderr=out, env=self._environment())
        self.port = eventually(self._listening, within=30)

    def kill(self) -> None:
        """kill -9, at whatever instruction it is."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        return self._end(signal.SIGTERM)

    def post(self, items: list[dict[str, object]], timeout: float = 5.0) -> bool:
        """Sends a batch; whether it was taken. False is ambiguous: it may have been stored all the same."""
        try:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
            headers = {"authorization": f"Bearer {self.token}", "content-type": "application/json"}
            connection.request("POST", "/api/v1/recovery/ingest/batch", json.dumps(items), headers)
            answer = connection.getresponse()
            answer.read()
            connection.close()
        except (OSError, http.client.HTTPException):
            return False
        return answer.status < 300

    def log_tail(self, lines: int = 40) -> str:
        return "\n".join((self.folder / "m10.log").read_text(errors="replace").splitlines()[-lines:])

    def _end(self, number: signal.Signals) -> int:
        process, self.process = self.process, None
        if process is None:
            return 0
        process.send_signal(number)
        return process.wait(40)

    def _listening(self) -> int:
        assert self.process is not None
        if self.process.poll() is not None:
            raise RuntimeError(f"m10 run ended with {self.process.returncode}:\n{self.log_tail()}")
        for path in (self.folder / "run" / "instances").glob("*.json"):
            with suppress(ValueError, OSError):
                facts = json.loads(path.read_text())
                if facts.get("pid") == self.process.pid and facts.get("api"):
                    return int(facts["api"].rpartition(":")[2])
        return 0

    def _environment(self) -> dict[str, str]:
        ours = ("M10_", "OUTBOX_", "RECOVERY_", "DATABASE_URL", "REDIS_URL")
        return {name: value for name, value in os.environ.items() if not name.startswith(ours)}

    def _write_config(self) -> None:
        lines = {
            "database.url": self.urls["app"],
            "database.ops_url": self.urls["ops"],
            "database.metrics_url": self.urls["metrics"],
            "redis.url": self.redis_url,
            "http.listen": "127.0.0.1:0",
            "process.run_dir": str(self.folder / "run"),
            "outbox.lock_ttl": "15s",
            "destinations.receiver.url": self.receiver.url,
            **self._settings,
        }
        text = [f"{key} = {json.dumps(value)}" for key, value in lines.items()]
        text += ["decisions.auto_execute = true", "destinations.receiver.allow_http = true"]
        text += ['destinations.receiver.allow_networks = ["127.0.0.0/8"]']
        for code in SEEDED_ACTIONS:
            text += [f'actions.{code}.event = "webhook:recovery"', f'actions.{code}.destination = "receiver"']
        (self.folder / "m10.toml").write_text("\n".join(text) + "\n")


def failures(count: int) -> Iterator[dict[str, object]]:
    """Failures made from the shipped sample, each with a key of its own."""
    lines = shipped("examples/failures/sample.jsonl").read_bytes().splitlines()
    for number in range(count):
        item = json.loads(lines[number % len(lines)])
        item["source"] = f"{item.get('source', 'sample')}-{number // len(lines) % 50}"
        item["idempotency_key"] = str(uuid5(NAMESPACE, f"campaign:{number}"))
        yield item


@dataclass
class Feeder:
    """Sends all failures from a thread of its own, each batch until it is taken, with the same keys."""

    stage: Stage
    count: int
    batch: int = 50
    pause: float = 0.0
    ambiguous: int = 0
    longest_wait: float = 0.0
    done: threading.Event = field(default_factory=threading.Event)

    def start(self) -> threading.Thread:
        thread = threading.Thread(target=self._run, name="feeder", daemon=True)
        thread.start()
        return thread

    def _run(self) -> None:
        waiting = threading.Event()
        items = list(failures(self.count))
        for at in range(0, len(items), self.batch):
            began = time.monotonic()
            while not self.stage.post(items[at : at + self.batch]):
                self.ambiguous += 1
                waiting.wait(0.05)
            self.longest_wait = max(self.longest_wait, time.monotonic() - began)
            waiting.wait(self.pause)
        self.done.set()


Fault = Callable[[Stage, random.Random], None]


def kill_process(stage: Stage, _chance: random.Random) -> None:
    stage.kill()
    stage.start()


def kill_valkey(stage: Stage, chance: random.Random) -> None:
    stage.servers.valkey.kill()
    threading.Event().wait(chance.uniform(0, 1))
    stage.servers.valkey.start()


def restart_valkey_empty(stage: Stage, chance: random.Random) -> None:
    stage.servers.valkey.kill()
    shutil.rmtree(stage.servers.valkey.folder / "appendonlydir", ignore_errors=True)
    threading.Event().wait(chance.uniform(0, 1))
    stage.servers.valkey.start()


def flush_valkey(stage: Stage, _chance: random.Random) -> None:
    import redis

    with redis.Redis.from_url(stage.redis_url) as client:
        client.flushall()


def restart_postgres(stage: Stage, chance: random.Random) -> None:
    stage.servers.postgres.stop("immediate" if chance.random() < 0.5 else "fast")
    threading.Event().wait(chance.uniform(0, 1))
    stage.servers.postgres.start()


def kill_postgres(stage: Stage, chance: random.Random) -> None:
    stage.servers.postgres.kill()
    threading.Event().wait(chance.uniform(0, 1))
    stage.servers.postgres.start()


FAULTS: dict[str, Fault] = {
    fault.__name__: fault
    for fault in (kill_process, kill_valkey, restart_valkey_empty, flush_valkey, restart_postgres, kill_postgres)
}


@dataclass
class Result:
    """The account of a campaign. Everything but `ambiguous`, `received_twice` and the times must be as it was sent."""

    seed: int
    faults: dict[str, int]
    sent: int
    ambiguous: int
    occurrences: int
    candidates: int
    evaluated: int
    published: int
    delivered: int
    dead: int
    evaluated_twice: int
    published_twice: int
    never_received: int
    phantoms: int
    changed_bodies: int
    received_twice: int
    drain_seconds: float
    exit_code: int

    @property
    def sound(self) -> bool:
        return (
            self.occurrences == self.sent
            and self.evaluated == self.candidates > 0
            and self.delivered == self.published > 0
            and not (self.dead or self.evaluated_twice or self.published_twice)
            and not (self.never_received or self.phantoms or self.changed_bodies)
            and self.exit_code == 0
        )

    def __str__(self) -> str:
        return json.dumps(asdict(self) | {"sound": self.sound})


def run(
    folder: Path, *, seed: int, count: int, faults: list[str], pause: float, settings: dict[str, str] | None = None
) -> Result:
    """One campaign: `faults` in a seeded order at seeded moments under load, then no more faults, and the account."""
    chance = random.Random(seed)
    order = chance.sample(faults, len(faults))
    waiting = threading.Event()
    with Stage(folder, settings) as stage:
        stage.start()
        feeder = Feeder(stage, count, pause=pause)
        thread = feeder.start()
        for name in order:
            waiting.wait(chance.uniform(0.05, 0.6))
            FAULTS[name](stage, chance)
        thread.join(300)
        assert feeder.done.is_set(), f"the feeder did not come through:\n{stage.log_tail()}"
        began = time.monotonic()
        try:
            eventually(lambda: account.is_settled(stage.ops), within=90, every=0.1)
        except AssertionError as error:
            raise AssertionError(f"not settled: {account.stores(stage.ops)}\n{stage.log_tail()}") from error
        drained = time.monotonic() - began
        code = stage.stop()
        stores, deliveries = account.stores(stage.ops), account.deliveries(stage.ops, stage.receiver.ledger)
    return Result(
        seed=seed,
        faults={name: order.count(name) for name in sorted(set(order))},
        sent=count,
        ambiguous=feeder.ambiguous,
        occurrences=stores.occurrences,
        candidates=stores.candidates,
        evaluated=stores.evaluated,
        published=stores.published,
        delivered=stores.delivered,
        dead=stores.dead,
        evaluated_twice=stores.evaluated_twice,
        published_twice=stores.published_twice,
        never_received=len(deliveries.never_received),
        phantoms=len(deliveries.phantoms),
        changed_bodies=len(deliveries.changed),
        received_twice=len(deliveries.received_twice),
        drain_seconds=round(drained, 2),
        exit_code=code,
    )
