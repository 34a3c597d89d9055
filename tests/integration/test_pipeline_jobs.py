"""The job runner by itself: a job that fails or takes long is nobody else's trouble."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta

import pipeline_kit
import pytest
from pipeline_kit import World
from supervisor_kit import root, states
from supervisor_kit import running as tree_of

from m10actors.actors.job_runner import JobRunner
from m10actors.actors.messages import RunJob
from m10actors.ops.job import Job
from m10actors.postgres import locks
from m10actors.postgres.errors import NotPermitted, StoreRefused, StoreUnavailable
from m10actors.streams import StreamStateLost
from m10actors.supervision import ChildSpec
from m10actors.supervisor import Tree
from m10actors.testing.waiting import eventually

world = pipeline_kit.world
TTL = timedelta(minutes=1)
Step = Callable[[], None]


@contextmanager
def runner(world: World, steps: Mapping[str, Step]) -> Iterator[Tree]:
    def job(step: Step) -> Job:
        def run(_stopping: threading.Event) -> Mapping[str, int]:
            step()
            return {}

        return Job("a lock", run)

    jobs = {name: job(step) for name, step in steps.items()}
    child = ChildSpec("job_runner", start=lambda link: JobRunner.start(link, "worker", world.ops, jobs, TTL))
    with tree_of(root(child)) as tree:
        yield tree


def ask(tree: Tree, name: str) -> None:
    assert tree.tell("job_runner", RunJob(name, time.monotonic()))


@pytest.mark.parametrize(
    "failure", [StoreUnavailable("away"), StoreRefused("no such function"), NotPermitted("no"), StreamStateLost("gone")]
)
def test_a_job_that_fails_runs_again_at_its_next_time_and_releases_its_lock(world: World, failure: Exception) -> None:
    runs: list[str] = []

    def fail() -> None:
        runs.append("failed")
        raise failure

    with runner(world, {"failing": fail, "other": lambda: runs.append("other")}) as tree:
        ask(tree, "failing")
        ask(tree, "other")
        eventually(lambda: runs == ["failed", "other"])
        ask(tree, "failing")
        eventually(lambda: runs == ["failed", "other", "failed"])
        eventually(lambda: states(tree)["job_runner"].doing == "idle")
        assert locks.acquire(world.ops, "a lock", "another", TTL) is not None
        assert states(tree)["job_runner"].restarts == 0


def test_a_job_whose_lock_another_process_holds_is_left_to_it(world: World) -> None:
    runs: list[str] = []
    locks.acquire(world.ops, "a lock", "another", TTL)
    with runner(world, {"job": lambda: runs.append("ran")}) as tree:
        ask(tree, "job")
        eventually(lambda: states(tree)["job_runner"].doing == "idle")
    assert runs == []


def test_of_what_was_asked_while_a_long_job_ran_each_job_runs_once(world: World) -> None:
    runs: list[str] = []
    begun, go = threading.Event(), threading.Event()

    def long() -> None:
        runs.append("long")
        begun.set()
        go.wait(20)

    with runner(world, {"long": long, "short": lambda: runs.append("short")}) as tree:
        ask(tree, "long")
        assert begun.wait(10)
        for _ in range(5):
            ask(tree, "short")
            ask(tree, "long")
        go.set()
        eventually(lambda: states(tree)["job_runner"].mailbox == 0 and states(tree)["job_runner"].doing == "idle")
        assert runs == ["long", "short", "long"]
        ask(tree, "short")
        eventually(lambda: runs == ["long", "short", "long", "short"])


def test_who_asks_while_the_job_waits_for_its_turn_stands_in_the_log_with_a_run_of_their_own(world: World) -> None:
    begun, go = threading.Event(), threading.Event()

    def long() -> None:
        begun.set()
        go.wait(20)

    with runner(world, {"long": long, "short": lambda: None}) as tree:
        ask(tree, "long")
        assert begun.wait(10)
        asked_at = time.monotonic()
        ask(tree, "short")  # by its schedule
        assert tree.tell("job_runner", RunJob("short", asked_at, "ann"))
        go.set()
        logged = "SELECT part, changed_by FROM m10_recovery.control_log WHERE kind = 'job'"
        eventually(lambda: world.sql(logged) == [("short", "ann")])
