"""Leases in the running tree: kept while their holders are busy, handed on when these end, however they do."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pipeline_kit
import psycopg
import pytest
from pipeline_kit import World, running
from schema_kit import Lab

from m10actors.actors.job_runner import JobRunner
from m10actors.actors.lease_keeper import LeaseKeeper
from m10actors.actors.messages import RunJob
from m10actors.ops.job import Job
from m10actors.supervision import ChildSpec, SupervisorSpec
from m10actors.supervisor import Tree, start_tree
from m10actors.testing.database import MigratedDatabase
from m10actors.testing.receiver import TAKEN, Answer, Request
from m10actors.testing.waiting import eventually

world = pipeline_kit.world
SHORT: dict[str, Any] = {"outbox__lock_ttl": "1s", "outbox__renew_every": "100ms", "outbox__poll_interval": "20ms"}
EPOCH = "SELECT epoch FROM m10_recovery.lock_epoch WHERE lock_name = 'm10:outbox_processor'"
LATER = (
    "SELECT expires_at > %s::timestamptz + interval '1500 ms' FROM m10_recovery.distributed_locks WHERE lock_name = %s"
)
NOW = "SELECT clock_timestamp()"
WAITING = """
SELECT count(*) > 0 FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE NOT granted AND datname = current_database()
"""


def renewed(world: World) -> None:
    """Waits for renewals of the outbox lock that are made from now on."""
    [(now,)] = world.sql(NOW)
    eventually(lambda: world.sql(LATER, now, "m10:outbox_processor") == [(True,)])


def test_a_lease_is_renewed_while_a_completion_takes_its_time(world: World) -> None:
    go = threading.Event()

    def answer(_: Request) -> Answer:
        go.wait(20)
        return TAKEN

    world.receiver.answer = answer
    with running(world, **SHORT) as engine:
        engine.ingest([1])
        eventually(lambda: "1 in hand" in engine.doing("outbox_leader"))
        with psycopg.connect(world.database.url("superuser")) as other:
            other.execute("SELECT 1 FROM m10_recovery.outbox FOR UPDATE")
            go.set()
            eventually(lambda: world.sql(WAITING) == [(True,)])
            renewed(world)
        world.sound(1)
        assert world.sql(EPOCH) == [(1,)]


def test_a_keeper_that_crashed_is_told_again_what_to_keep(world: World) -> None:
    with running(world, **SHORT) as engine:
        eventually(lambda: engine.doing("outbox_leader").startswith("leader"))
        engine.crash("lease_keeper")
        renewed(world)
        assert world.sql(EPOCH) == [(1,)]


def test_what_a_dead_process_of_this_run_folder_led_is_led_on_at_once_also_without_redis(world: World) -> None:
    folder = world.run_dir / "instances"
    folder.mkdir(parents=True, mode=0o700)
    folder.parent.chmod(0o700)
    (folder / "host:1:deadbeef.json").touch(0o600)  # nobody holds it
    world.sql("SELECT m10_recovery.acquire_lock('m10:outbox_processor', 'host:1:deadbeef/outbox_leader', 3600)")
    world.servers.valkey.stop()
    with running(world) as engine:
        eventually(lambda: engine.doing("outbox_leader").startswith("leader of epoch 2"))
        world.servers.start()


@pytest.fixture
def lab(database: MigratedDatabase) -> Lab:
    return Lab(database)


class Waits:
    """A job that lasts until it is told, or has to end."""

    def __init__(self) -> None:
        self.go, self.runs, self.ended = threading.Event(), threading.Event(), threading.Event()

    def run(self, over: threading.Event) -> Mapping[str, int]:
        self.runs.set()
        while not self.go.is_set() and not over.wait(0.01):
            pass
        self.ended.set()
        return {}


@contextmanager
def job_tree(lab: Lab, job: Waits) -> Iterator[Tree]:
    keeper = ChildSpec("lease_keeper", lambda link: LeaseKeeper.start(link, lab.app, timedelta(milliseconds=100)))
    jobs = {"long": Job("gc", job.run)}
    second = timedelta(seconds=1)
    runner = ChildSpec("job_runner", lambda link: JobRunner.start(link, "host:1:abc", lab.app, jobs, second))
    tree = start_tree(SupervisorSpec("root", (keeper, runner)))
    try:
        tree.tell("job_runner", RunJob("long", 1.0))
        assert job.runs.wait(10)
        yield tree
    finally:
        tree.stop(10)


def test_the_lock_of_a_long_job_is_renewed_and_given_back(lab: Lab) -> None:
    job = Waits()
    with job_tree(lab, job):
        now = lab.value(NOW)
        eventually(lambda: lab.value(LATER, now, "gc"))
        job.go.set()
        eventually(lambda: lab.value("SELECT count(*) FROM m10_recovery.distributed_locks") == 0)


def test_a_job_whose_lock_is_lost_ends(lab: Lab) -> None:
    job = Waits()
    with job_tree(lab, job):
        lab.sql.execute("DELETE FROM m10_recovery.distributed_locks")
        assert job.ended.wait(10)


def test_a_job_ends_when_its_runner_has_to(lab: Lab) -> None:
    job = Waits()
    with job_tree(lab, job) as tree:
        tree.stop(10)
        assert job.ended.is_set()
        assert tree.abandoned == 0
    assert lab.value("SELECT count(*) FROM m10_recovery.distributed_locks") == 0
