"""The real tree of the engine in this process, on real servers, with a receiver; and ways to break it.

Every period is an hour unless a test sets it: what happens within a test was woken, not polled.
"""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pykka
import pytest
import redis
from supervisor_kit import states

from m10actors import config
from m10actors.actors.messages import Deliver, Keep, RunJob, Tick
from m10actors.application import Parts
from m10actors.application.predecessors import Predecessors
from m10actors.application.tree import tree
from m10actors.application.weather import start_in_weather
from m10actors.embedded import EmbeddedServers
from m10actors.instance import Instance, new_worker_id
from m10actors.postgres.errors import StoreError, StoreUnavailable
from m10actors.recovery.actions import SEEDED_ACTIONS
from m10actors.recovery.failure import Failure, parse
from m10actors.streams import StreamNames
from m10actors.supervision import Actor
from m10actors.supervisor import Tree
from m10actors.testing import account
from m10actors.testing.account import Stores
from m10actors.testing.database import MigratedDatabase
from m10actors.testing.receiver import Receiver
from m10actors.testing.waiting import eventually

NAMES = StreamNames()
NEVER = "1h"
SUPERVISORS = (
    "root", "substrate", "leadership", "delivery_workers", "intake", "evaluator_workers",
    "claim_workers", "maintenance",
)  # fmt: skip
JOBS = (
    "matview_refresh",
    "release_stalled",
    "execution_check",
    "expired_locks",
    "idle_consumers",
    "dead_letter_reconcile",
    "partitions",
    "retention",
)

QUIET: dict[str, object] = {
    "intake.poll_interval": NEVER,
    "intake.sweep_after": NEVER,
    "intake.claim_idle": NEVER,
    "intake.reclaim_base_backoff": "1ms",
    "outbox.poll_interval": NEVER,
    "outbox.retry_schedule": ["1ms"] * 5,
    "outbox.jitter": 0.0,
    "metrics.interval": NEVER,
    "redis.block": "500ms",
    "database.checkout_timeout": "3s",
    "tree.redis_monitor.poll": "20ms",
    "tree.postgres_monitor.poll": "20ms",
    "tree.reclaimer.poll": NEVER,
    "tree.http_endpoint.poll": NEVER,  # Idle gives no sign of life
    "decisions.auto_execute": True,
    **{f"autonomy.per_{each}": 1_000_000 for each in ("candidate", "source", "action", "hour")},
    **{f"jobs.{job}": "off" for job in JOBS},
    **{f"tree.{name}.intensity": 1000 for name in SUPERVISORS},
    **{f"tree.{name}.{key}": "1ms" for name in SUPERVISORS for key in ("backoff", "backoff_max")},
}


class Idle(Actor):
    """In the place of the HTTP endpoint, which has tests of its own."""

    def on_message(self, message: object) -> None:
        pass


@dataclass
class World:
    """The stores, the receiver and the run folder that engines share."""

    servers: EmbeddedServers
    database: MigratedDatabase
    redis_url: str
    receiver: Receiver
    run_dir: Path
    undo: ExitStack = field(default_factory=ExitStack)

    def __post_init__(self) -> None:
        self.ops = self.database.pool("ops")
        self.raw: Any = self.undo.enter_context(redis.Redis.from_url(self.redis_url))

    def sql(self, query: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Looks and meddles as the superuser."""
        with psycopg.connect(self.database.url("superuser"), autocommit=True) as connection:
            cursor = connection.execute(query, parameters or None)
            return cursor.fetchall() if cursor.description else []

    def upsert(self, count: int = 1, code: str = "TIMEOUT") -> list[int]:
        """Failures that another program reports by SQL, without any message; the ids of their candidates."""
        query = (
            "SELECT u.id FROM generate_series(1, %s) AS n, LATERAL public.upsert_recovery_candidate("
            "md5(n::text || random())::uuid, '', 0, '{}', %s, '', 'another', 'another') u"
        )
        return [row[0] for row in self.sql(query, count, code)]

    def refuse(self, table: str, when: str) -> None:
        """Has PostgreSQL refuse updates of rows, for good: a constraint that nobody thought of."""
        self.sql(
            "CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN RAISE EXCEPTION 'refused' USING ERRCODE = '22000'; END $$"
        )
        self.sql(f"CREATE TRIGGER refuse BEFORE UPDATE ON {table} FOR EACH ROW WHEN ({when}) EXECUTE FUNCTION refuse()")

    def stores(self) -> Stores:
        return account.stores(self.ops)

    def flags(self, changed: Mapping[str, object]) -> dict[str, object]:
        flags: dict[str, object] = QUIET | {
            "database.url": self.database.url("app"),
            "database.ops_url": self.database.url("ops"),
            "database.metrics_url": self.database.url("metrics"),
            "redis.url": self.redis_url,
            "process.run_dir": str(self.run_dir),
            "destinations.receiver.url": self.receiver.url,
            "destinations.receiver.allow_http": True,
            "destinations.receiver.allow_networks": ["127.0.0.0/8"],
            "destinations.receiver.breaker_failures": 1000,
        }
        for code in SEEDED_ACTIONS:
            flags |= {f"actions.{code}.event": "webhook:recovery", f"actions.{code}.destination": "receiver"}
        return {**flags, **changed}

    def settled(self, candidates: int, within: float = 20.0) -> Stores:
        """The stores, once so many candidates are evaluated and their events delivered."""

        def are_settled() -> bool:
            with suppress(StoreError):
                return account.is_settled(self.ops) and self.stores().candidates == candidates
            return False

        try:
            eventually(are_settled, within)
            return self.stores()
        except AssertionError:
            raise AssertionError(f"not settled: {self.stores()}, stream {self.stream()}") from None

    def stream(self) -> tuple[int, int]:
        """How many entries lie in the stream, and how many of them are pending."""
        length = int(self.raw.xlen(NAMES.stream))
        with suppress(redis.ResponseError):
            return length, int(self.raw.xpending(NAMES.stream, NAMES.group)["pending"])
        return length, 0

    def stream_is_empty(self) -> None:
        eventually(lambda: self.stream() == (0, 0))

    def dead_letters(self) -> list[tuple[Any, ...]]:
        """(reason, candidate_id, reclaim_count, payload) of each, oldest first."""
        return self.sql(
            "SELECT reason, candidate_id, reclaim_count, payload FROM m10_recovery.dead_letter_archive ORDER BY id"
        )

    def sound(self, candidates: int, *, twice_allowed: bool = False) -> Stores:
        """Once settled: nothing lost, nothing done twice, nothing given up, no key at the receiver that is not ours."""
        stores = self.settled(candidates)
        assert stores.occurrences == candidates
        assert stores.published == stores.delivered
        assert (stores.dead, stores.evaluated_twice, stores.published_twice) == (0, 0, 0)
        deliveries = account.deliveries(self.ops, self.receiver.ledger)
        assert deliveries.sound, deliveries
        assert twice_allowed or not deliveries.received_twice
        return stores


@dataclass
class Engine:
    """A running tree, and what its process would hold."""

    world: World
    parts: Parts
    tree: Tree
    instance: Instance

    def ingest(self, numbers: Sequence[int], **fields: Any) -> list[int]:
        """Reports a failure for each number; the ids of their candidates."""
        receipts = self.parts.ingest.accept([failure(number, **fields) for number in numbers], "test")
        return [receipt.candidate_id for receipt in receipts]

    def add(self, *entries: tuple[int, int]) -> None:
        """Adds (candidate_id, generation) to the stream, as our own producer does."""
        for candidate_id, generation in entries:
            self.world.raw.xadd(
                NAMES.stream, {"candidate_id": candidate_id, "message_id": f"{candidate_id}:{generation}"}
            )

    def crash(self, child_id: str, wait: bool = True) -> None:
        """Makes the child raise at its next message; returns once its successor runs."""
        before = self.restarts()[child_id]
        assert self.tree.tell(child_id, BOMBS.get(child_id.partition(".")[0], TickBomb("")))
        if wait:
            eventually(lambda: self.restarts()[child_id] > before and states(self.tree)[child_id].phase == "running")

    def restarts(self) -> dict[str, int]:
        return {name: state.restarts for name, state in states(self.tree).items()}

    def doing(self, child_id: str) -> str:
        return states(self.tree)[child_id].doing

    def stop(self) -> None:
        """The drain, and a clean end."""
        self.tree.stop(20)
        close(self.parts)
        self.instance.leave()


class _Boom(RuntimeError):
    """What a bomb raises in the actor that looks at it."""


class TickBomb(Tick):
    """Raises as soon as an actor asks what it is."""

    @property
    def what(self) -> str:
        raise _Boom

    def __init__(self, _: str) -> None:
        pass


class DeliverBomb(Deliver):
    """The same, for an actor that knows no tick."""

    @property
    def turn(self) -> Any:
        raise _Boom

    def __init__(self) -> None:
        pass


class JobBomb(RunJob):
    """The same, for the job runner."""

    @property
    def name(self) -> str:
        raise _Boom

    def __init__(self) -> None:
        pass


class KeepBomb(Keep):
    """The same, for the lease keeper."""

    @property
    def tenure(self) -> Any:
        raise _Boom

    def __init__(self) -> None:
        pass


BOMBS: dict[str, object] = {"delivery_worker": DeliverBomb(), "job_runner": JobBomb(), "lease_keeper": KeepBomb()}


@pytest.fixture
def world(servers: EmbeddedServers, database: MigratedDatabase, redis_url: str, tmp_path: Path) -> Iterator[World]:
    """Empty stores and a receiver; no engine yet. Afterwards no engine has left a connection.

    The consumer group is there already: an engine that has to make one sweeps, at some moment, what it may not have
    been told of.
    """
    with Receiver() as receiver:
        made = World(servers, database, redis_url, receiver, tmp_path / "run")
        with made.undo:
            made.raw.xgroup_create(NAMES.stream, NAMES.group, "0", mkstream=True)
            yield made
            servers.start()
            no_connection_left(made)


@contextmanager
def running(world: World, *, abandoned: int = 0, **changed: Any) -> Iterator[Engine]:
    """An engine, drained at the end; afterwards no thread and no connection of it is left. `a__b` sets key `a.b`."""
    before = _threads()
    engine = start(world, **changed)
    try:
        yield engine
    finally:
        engine.stop()
        assert engine.tree.abandoned == abandoned
        eventually(lambda: _threads() <= before)
        assert not [ref for ref in pykka.ActorRegistry.get_all() if ref.actor_class is not Idle]


def _threads() -> set[threading.Thread]:
    """Those of engines, and of nobody knows whom; not the receiver's."""
    return {thread for thread in threading.enumerate() if thread.name != "receiver"}


def start(world: World, **changed: Any) -> Engine:
    """Starts an engine that the caller stops."""
    instance = Instance.enter(world.run_dir, new_worker_id())
    parts = parts_of(world, instance.worker, **changed)
    parts.open()
    predecessors = Predecessors(world.run_dir, parts.app)
    root = tree(parts, Idle.start, predecessors)
    return Engine(world, parts, start_in_weather(root, parts, down=frozenset()), instance)


def parts_of(world: World, worker: str | None = None, **changed: Any) -> Parts:
    """What actors share, not opened yet. `a__b` sets key `a.b`."""
    flags = world.flags({key.replace("__", "."): value for key, value in changed.items()})
    return Parts.of(config.load(None, {}, flags).settings, worker or new_worker_id())


def close(parts: Parts) -> None:
    parts.close()


def no_connection_left(world: World) -> None:
    """Of any engine, in either store."""
    eventually(lambda: len(world.raw.client_list()) == 1)
    eventually(
        lambda: (
            world.sql(
                "SELECT count(*) FROM pg_stat_activity"
                " WHERE datname = current_database()"
                " AND application_name IN ('m10:app', 'm10:lead', 'm10:ops', 'm10:metrics', 'm10:once')"
            )
            == [(0,)]
        )
    )


def failure(number: int, *, code: str = "TIMEOUT", note: str = "", once: bool = False) -> Failure:
    """Another failure for each number, which the rules carry out by themselves. `once`: counted once, however often it
    is reported.
    """
    payload = {"error_type": code, "raw": f"upstream too slow {note}"}
    key = {"idempotency_key": f"failure {number}"} if once else {}
    return parse({"failure_payload": payload, "source": f"service-{number}"} | key)


def feed(engine: Engine, count: int, batch: int = 6) -> threading.Thread:
    """Reports failures from a thread of its own, each batch until it is stored."""

    def report() -> None:
        for first in range(0, count, batch):
            numbers = range(first, min(first + batch, count))
            eventually(lambda: _stored(engine, numbers), within=60)  # noqa: B023 - called within the round

    return in_background(report, "feeder")


def _stored(engine: Engine, numbers: Sequence[int]) -> bool:
    try:
        engine.ingest(numbers, once=True)
    except StoreUnavailable:
        return False
    return True


def in_background(step: Callable[[], object], name: str = "background") -> threading.Thread:
    thread = threading.Thread(target=step, name=name, daemon=True)
    thread.start()
    return thread
