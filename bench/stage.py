"""Servers of its own, a database, and the parts of the engine, without a running tree."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Self
from uuid import uuid4

from m10actors import config, logs
from m10actors.application.parts import Parts
from m10actors.application.tree import tree
from m10actors.embedded import EmbeddedServers
from m10actors.instance import new_worker_id
from m10actors.postgres.migrate import create_database, migrate
from m10actors.postgres.pool import Database
from m10actors.recovery.actions import SEEDED_ACTIONS
from m10actors.recovery.failure import Failure, parse
from m10actors.shipped import shipped
from m10actors.supervision import Actor
from m10actors.supervisor import start_tree
from m10actors.testing.receiver import Receiver


class Nothing(Actor):
    """Stands where the HTTP endpoint stands: no workload here uses it."""


class NoPredecessors:
    """Nobody died here."""

    def take_over(self) -> tuple[str, ...]:
        return ()

    def forget(self) -> None:
        """Nothing to forget."""


class Stage:
    """All as role m10_app, with fsync on."""

    def __init__(self, folder: Path, settings: dict[str, object] | None = None) -> None:
        self._folder = folder
        self._settings = settings or {}
        self._undo = ExitStack()

    def __enter__(self) -> Self:
        logs.setup("error", "auto")
        with ExitStack() as undo:
            servers = EmbeddedServers(self._folder)
            undo.callback(servers.stop)
            addresses = servers.start()
            create_database(addresses.postgres_superuser_url, "bench")
            migrate(addresses.postgres_url("postgres", "bench"), shipped("schema"))
            self.receiver = undo.enter_context(Receiver())
            flags: dict[str, object] = {
                "database.url": addresses.postgres_url("m10_app", "bench"),
                "database.ops_url": addresses.postgres_url("m10_ops", "bench"),
                "database.metrics_url": addresses.postgres_url("m10_metrics", "bench"),
                "redis.url": addresses.redis_url,
                "decisions.auto_execute": True,
                **self._settings,
                "outbox.lock_ttl": "15s",
                "destinations.receiver.url": self.receiver.url,
                "destinations.receiver.allow_http": True,
                "destinations.receiver.allow_networks": ["127.0.0.0/8"],
                "destinations.receiver.secrets": ["whsec_" + "bTEwYWN0b3JzLWJlbmNobWFyay1zaWduaW5nLWtleQ=="],
            }
            for code in SEEDED_ACTIONS:
                flags[f"actions.{code}.event"] = "webhook:recovery"
                flags[f"actions.{code}.destination"] = "receiver"
            self.parts = Parts.of(config.load(None, {}, flags).settings, new_worker_id())
            self.parts.open()
            undo.callback(self.parts.close)
            self.parts.first_contact()
            self.parts.queue().ensure_group()
            self._undo = undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._undo.close()

    def failures(self, count: int) -> list[Failure]:
        """Distinct failures, each of which opens a candidate whose action is carried out by itself."""
        run = uuid4().hex
        return [
            parse({"error_type": "TIMEOUT", "raw": "no answer", "source": f"{run}.{number}"[:100]})
            for number in range(count)
        ]

    def rate(self, count: int, is_done: Callable[[Database], bool]) -> float:
        """Runs the tree until it is done; `count` per second from its start."""
        started = time.monotonic()
        running = start_tree(tree(self.parts, Nothing.start, NoPredecessors()))
        while not is_done(self.parts.ops):
            time.sleep(0.002)
        seconds = time.monotonic() - started
        running.stop(10)
        return count / seconds
