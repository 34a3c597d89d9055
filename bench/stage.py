"""Servers of its own with fsync on, a database, a receiver, and the parts of the engine; no running tree yet."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

import psycopg
import redis

from m10actors import collector, config, logs
from m10actors.application.parts import Parts
from m10actors.application.tree import tree
from m10actors.embedded import EmbeddedServers
from m10actors.instance import new_worker_id
from m10actors.postgres import controls, locks
from m10actors.postgres.migrate import create_database, migrate
from m10actors.postgres.outbox import OUTBOX_LOCK
from m10actors.recovery.actions import SEEDED_ACTIONS
from m10actors.recovery.failure import Failure, parse
from m10actors.recovery.pauses import Part
from m10actors.shipped import shipped
from m10actors.streams.codec import Message, encode
from m10actors.supervision import Actor, ChildState
from m10actors.supervisor import Tree, start_tree
from m10actors.testing.receiver import Receiver

DATABASE = "bench"
DUE = """
INSERT INTO public.recovery_candidates
    (failure_match_id, suggestion, error_code, error_message, error_signature, source, fingerprint)
SELECT gen_random_uuid(), '', 'TIMEOUT', 'no answer', 'bench', 'bench', 'bench' FROM generate_series(1, %s::int)
RETURNING id
"""
FORGET = """
TRUNCATE public.recovery_candidates, m10_recovery.suggestion_provenance, m10_recovery.accepted_key,
    m10_recovery.evaluation_claim, m10_recovery.work_queue, m10_recovery.outbox, m10_recovery.replay_log,
    m10_recovery.admission_count, m10_recovery.dead_letter_archive CASCADE
"""
LOOK_SECONDS = 0.02
"""Between two looks whether it is done: each takes processor time from the engine, and from PostgreSQL."""


class Nothing(Actor):
    """Stands where the HTTP endpoint stands: no workload in the process uses it."""


class NoPredecessors:
    """Nobody died here."""

    def take_over(self) -> tuple[str, ...]:
        return ()

    def forget(self) -> None:
        """Nothing to forget."""


class Stage:
    """Where workloads run; a context manager."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._undo = ExitStack()

    def __enter__(self) -> Self:
        logs.setup("error", "auto")
        with ExitStack() as undo:
            self._servers = EmbeddedServers(self.folder)
            undo.callback(self._servers.stop)
            self.addresses = self._servers.start()
            self.redis_url = self.addresses.redis_url
            create_database(self.addresses.postgres_superuser_url, DATABASE)
            migrate(self.postgres_url("postgres"), shipped("schema"))
            self.receiver = undo.enter_context(Receiver())
            self.parts = Parts.of(config.load(None, {}, self.settings()).settings, new_worker_id())
            self.parts.open()
            undo.callback(self.parts.close)
            self.parts.first_contact()
            queue = self.parts.queue()
            queue.ensure_group()
            queue.close()
            self._redis: Any = undo.enter_context(redis.Redis.from_url(self.redis_url))
            self._undo = undo.pop_all()
        collector.settle()
        return self

    def __exit__(self, *_: object) -> None:
        self._undo.close()

    def postgres_url(self, user: str) -> str:
        return self.addresses.postgres_url(user, DATABASE)

    def settings(self) -> dict[str, object]:
        """Every action is carried out by itself, by the receiver."""
        settings: dict[str, object] = {
            "database.url": self.postgres_url("m10_app"),
            "database.ops_url": self.postgres_url("m10_ops"),
            "database.metrics_url": self.postgres_url("m10_metrics"),
            "redis.url": self.redis_url,
            "decisions.auto_execute": True,
            **{f"autonomy.per_{each}": 1_000_000 for each in ("candidate", "source", "action", "hour")},
            "outbox.lock_ttl": "15s",
            "destinations.receiver.url": self.receiver.url,
            "destinations.receiver.allow_http": True,
            "destinations.receiver.allow_networks": ["127.0.0.0/8"],
            "destinations.receiver.secrets": ["whsec_" + "bTEwYWN0b3JzLWJlbmNobWFyay1zaWduaW5nLWtleQ=="],
        }
        for code in SEEDED_ACTIONS:
            settings[f"actions.{code}.event"] = "webhook:recovery"
            settings[f"actions.{code}.destination"] = "receiver"
        return settings

    # What there is to do

    def failures(self, count: int) -> list[Failure]:
        """Distinct failures, each of which opens a candidate whose action is carried out by itself."""
        run = uuid4().hex
        return [parse({"error_type": "TIMEOUT", "raw": "no answer", "source": f"{run}.{n}"}) for n in range(count)]

    def due(self, count: int) -> Sequence[int]:
        """The ids of so many new candidates whose evaluation is due."""
        return [row[0] for row in self.sql(DUE, count)]

    def announce(self, candidate_ids: Iterable[int]) -> None:
        """A message for each, waiting in the stream."""
        now, stream = datetime.now(UTC), self.parts.names.stream
        with self._redis.pipeline(transaction=False) as many:
            for candidate_id in candidate_ids:
                many.execute_command("XADD", stream, "*", *encode(Message(candidate_id, 1, now)))
            many.execute()

    def stream_is_empty(self) -> bool:
        return not self._redis.xlen(self.parts.names.stream)

    def forget(self, events: int | None = None) -> None:
        """Empties the tables and the streams for the next run, once it is certain that this one did its work: so many
        events.
        """
        [(published,)] = self.sql("SELECT count(*) FROM m10_recovery.outbox")
        assert events in {None, published}, f"{published} events instead of {events}"
        while not self._emptied():
            pass
        names = self.parts.names
        self._redis.delete(names.dead_letter)  # or a job puts its rows back
        self._redis.xtrim(names.stream, maxlen=0, approximate=False)  # the group stays for those who read in it
        while pending := self._redis.xpending_range(names.stream, names.group, "-", "+", 1000):
            self._redis.xack(names.stream, names.group, *(entry["message_id"] for entry in pending))

    def _emptied(self) -> bool:
        """False where a process that runs meanwhile had locked the tables in another order."""
        try:
            self.sql(FORGET)
        except psycopg.errors.DeadlockDetected:
            return False
        return True

    def sql(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        """As the superuser."""
        with self.connect() as connection:
            cursor = connection.execute(statement.encode(), parameters or None)
            return cursor.fetchall() if cursor.description else []

    def connect(self) -> psycopg.Connection[tuple[Any, ...]]:
        return psycopg.connect(self.postgres_url("postgres"), autocommit=True)

    # The engine

    def rate(self, count: int, is_done: Callable[[], bool], parts: Parts | None = None) -> float:
        """Runs the tree until it is done; `count` per second from when it reads the first message that waits, as a loop
        by hand counts; from when the tree stands, where none waits.
        """
        waiting, before = not self.stream_is_empty(), self._last_read()
        with self.running(parts):
            while waiting and self._last_read() == before:
                time.sleep(0.001)
            started = time.monotonic()
            while not is_done():
                time.sleep(LOOK_SECONDS)
            return count / (time.monotonic() - started)

    @contextmanager
    def without_delivery(self) -> Iterator[None]:
        """The leader of a tree that runs meanwhile finds its lock taken, and only stands by."""
        epoch = locks.acquire(self.parts.app, OUTBOX_LOCK, "bench", timedelta(hours=1))
        assert epoch is not None, "nobody else holds the lock here"
        try:
            yield
        finally:
            locks.release(self.parts.app, OUTBOX_LOCK, "bench", epoch)

    @contextmanager
    def without_intake(self) -> Iterator[None]:
        """Meanwhile nothing that is due is taken by any process."""
        controls.pause(self.parts.ops, [Part.INTAKE], "bench", "benchmark", None)
        try:
            yield
        finally:
            controls.resume(self.parts.ops, [Part.INTAKE], "bench", None)

    @contextmanager
    def configured(self, changes: Mapping[str, object]) -> Iterator[None]:
        """Meanwhile the engine decides and delivers by these settings too, as after a reload."""
        live = self.parts.live
        live.replace(live.rulings(config.load(None, {}, {**self.settings(), **changes}).settings))
        try:
            yield
        finally:
            live.replace(live.rulings(self.parts.settings))

    @contextmanager
    def parts_with(self, changes: Mapping[str, object]) -> Iterator[Parts]:
        """The parts of another engine on the same servers, with these settings too."""
        parts = Parts.of(config.load(None, {}, {**self.settings(), **changes}).settings, new_worker_id())
        parts.open()
        try:
            parts.first_contact()
            yield parts
        finally:
            parts.close()

    @contextmanager
    def running(self, parts: Parts | None = None) -> Iterator[Tree]:
        """The tree of the engine, without HTTP."""
        running = start_tree(tree(parts or self.parts, Nothing.start, NoPredecessors()))
        try:
            yield running
        finally:
            running.stop(10)

    def _last_read(self) -> object:
        """The entry that somebody in the group read last."""
        [group] = self._redis.xinfo_groups(self.parts.names.stream)
        return group["last-delivered-id"]


def doing(state: ChildState, child_id: str) -> str:
    """What a child says that it does; empty if there is no such child."""
    return state.doing if state.id == child_id else "".join(doing(child, child_id) for child in state.children)
