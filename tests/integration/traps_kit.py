"""What the tests of traps share: a second process beside the first, evaluations that wait, and the second server."""

import itertools
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pipeline_kit
import pytest
from pipeline_kit import NAMES, Engine, World

from m10actors import evaluation
from m10actors.embedded.data_folder import DataFolder
from m10actors.embedded.valkey import ValkeyServer
from m10actors.testing.stores import Chosen
from m10actors.testing.waiting import eventually

POLLED: dict[str, Any] = {"intake__poll_interval": "30ms"}
SWEPT: dict[str, Any] = POLLED | {"intake__sweep_after": "50ms"}
EAGER: dict[str, Any] = {"tree__reclaimer__poll": "5ms", "intake__claim_idle": "20ms"}
"""A reclaimer that takes whatever looks idle."""

FEW: dict[str, Any] = {
    "intake__claim_workers": 1,
    "intake__spare_workers": 0,
    "intake__batch_size": 3,
    "intake__batch_max": 3,
}
"""In hand at once; what else is told lies in the stream."""


class Gates:
    """Evaluations wait, each at a gate of its own in the order in which they begin; from number `count` on they do
    not.
    """

    def __init__(self, count: int) -> None:
        self.begun = 0
        self._gates = [threading.Event() for _ in range(count)]

    def open(self, number: int) -> None:
        self._gates[number].set()

    def open_all(self) -> None:
        for gate in self._gates:
            gate.set()

    def pass_through(self) -> None:
        number, self.begun = self.begun, self.begun + 1
        if number < len(self._gates):
            self._gates[number].wait(30)


@contextmanager
def gated(count: int = 1) -> Iterator[Gates]:
    """Opens all gates at the end, before what waits at them is stopped."""
    gates, real = Gates(count), evaluation.__dict__["by_rules"]

    def decide(*given: Any) -> Any:
        gates.pass_through()
        return real(*given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluation, "by_rules", decide)
        try:
            yield gates
        finally:
            gates.open_all()


@contextmanager
def beside(world: World, **changed: Any) -> Iterator[Engine]:
    """One more engine on the same host and run folder, while another runs."""
    engine = pipeline_kit.start(world, **changed)
    try:
        yield engine
    finally:
        engine.stop()


@contextmanager
def another_valkey() -> Iterator[ValkeyServer]:
    with tempfile.TemporaryDirectory(prefix="m10-") as folder:
        data = DataFolder(Path(folder, "data"))
        data.acquire()
        server = ValkeyServer(data, start_timeout=30.0, fsync=False, binary=Chosen.of().programs.valkey)
        try:
            server.start()
            yield server
        finally:
            server.stop()
            data.release()


def queued(world: World, count: int) -> list[int]:
    """Candidates whose entries lie in the stream, from before any engine runs."""
    candidates = world.upsert(count)
    for candidate in candidates:
        world.raw.xadd(NAMES.stream, {"candidate_id": candidate, "message_id": f"{candidate}:1"})
    return candidates


def delivered_to_dead(world: World, count: int) -> list[bytes]:
    """The ids of entries that a consumer without a process has had in hand for two hours."""
    queued(world, count)
    [(_, read)] = world.raw.xreadgroup(NAMES.group, "dead", {NAMES.stream: ">"}, count=count)
    make_idle(world, 7_200_000)
    return [entry_id for entry_id, _ in read]


def make_idle(world: World, idle_ms: int) -> None:
    """What is pending looks as if its owners had given no sign for so long."""
    for row in world.raw.xpending_range(NAMES.stream, NAMES.group, "-", "+", 1000):
        counted = row["times_delivered"]
        world.raw.xclaim(
            NAMES.stream, NAMES.group, row["consumer"], 0, [row["message_id"]], idle=idle_ms, retrycount=counted
        )


def looked_again(world: World, idle_ms: int, times: int = 5) -> None:
    """Waits until somebody looked for stalled entries so many times more, while all that is pending looks so idle."""

    def looks() -> int:
        make_idle(world, idle_ms)
        asked = world.raw.info("commandstats")["cmdstat_xpending"]["calls"]
        return int(asked) - next(own)  # make_idle asks too

    own = itertools.count(1)
    before = looks()
    eventually(lambda: looks() >= before + times)


def healthy(engine: Engine, candidates: int) -> None:
    """No actor crashed, nothing is left, and the next failure goes through the stream again."""
    eventually(lambda: not engine.parts.redis.takes_nothing)
    engine.ingest([1_000_000])
    engine.world.sound(candidates + 1)
    engine.world.stream_is_empty()
    assert set(engine.restarts().values()) == {0}
