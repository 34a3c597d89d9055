"""One peer: its messages sent by its own client, worked off by its own workers, its effects counted."""

import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import quantiles
from typing import Any

import redis

from bench.peers.environment import ROOT, Environment
from bench.stage import Stage
from bench.written import check_written
from m10actors.testing import account

LATENCIES = 400
MARKS = "bench:marks"
SINCE_FIRST = "SELECT extract(epoch FROM clock_timestamp() - min(processed_at))::float8 FROM m10_recovery.replay_log"
DATABASE = 5
"""Of Redis: the engine has 0."""
WITHIN = 120.0


@dataclass(frozen=True, slots=True)
class Peer:
    """`command` is run `processes` times; {redis} and {postgres} stand for addresses. `handler`: how it works."""

    name: str
    packages: tuple[str, ...]
    module: str
    handler: str
    count: int
    processes: int
    command: tuple[str, ...]
    prepare: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Measured:
    """Messages a second from the first effect to the last; milliseconds from sent to the handler's first line."""

    w1: float
    w2: float
    w3_p50: float
    w3_p99: float


def measured(
    peer: Peer, environment: Environment, stage: Stage, scale: float, expected: Mapping[str, float]
) -> Measured:
    """Backlogs are there before the workers start. `expected`: what the engine writes, which it has to write too.
    TimeoutError if it does not get done.
    """
    run = _Run(peer, environment, stage)
    if peer.prepare:
        run.call(peer.prepare, {"M10_BENCH_COUNT": "0"})
    count = max(50, int(peer.count * scale))
    w1, w2 = run.no_effect(count), run.durable_effect(count, expected)
    cuts = quantiles(run.latencies(max(50, int(LATENCIES * scale))), n=100)
    return Measured(w1, w2, cuts[49], cuts[98])


class _Run:
    def __init__(self, peer: Peer, environment: Environment, stage: Stage) -> None:
        self._peer = peer
        self._environment = environment
        self._stage = stage
        self._addresses = {
            "redis": stage.redis_url.replace("db=0", f"db={DATABASE}"),
            "postgres": stage.postgres_url("postgres"),
        }
        self._redis: Any = redis.Redis.from_url(self._addresses["redis"])

    def no_effect(self, count: int) -> float:
        """W1."""
        self._send("W1", 1, count)
        with self._working(count):
            _until(lambda: self._redis.llen(MARKS) >= 2, self._peer)
            return count / (time.monotonic() - min(self._marks().values()))

    def durable_effect(self, count: int, expected: Mapping[str, float]) -> float:
        """W2."""
        due = self._stage.due(count)
        self._send("W2", due[0], count)
        with self._working(count):
            _until(lambda: account.is_evaluated(self._stage.parts.ops), self._peer)
            [(seconds,)] = self._stage.sql(SINCE_FIRST)
        check_written(self._stage, count, expected)
        self._stage.forget(events=count)
        return count / float(seconds)

    def latencies(self, count: int) -> list[float]:
        """W3."""
        with self._working(count):
            self._send("W1", 1, 2)  # until it is there
            _until(lambda: self._redis.llen(MARKS) >= 1, self._peer)
            self._redis.delete(MARKS)
            sent = dict(line.split() for line in self._send("W3", 1, count).splitlines())
            _until(lambda: self._redis.llen(MARKS) >= count, self._peer)
            came = self._marks()
        return [1000 * (came[int(number)] - float(at)) for number, at in sent.items()]

    def call(self, command: tuple[str, ...], given: Mapping[str, str]) -> str:
        ran = subprocess.run(
            self._command(command), cwd=ROOT, env=self._variables(given), capture_output=True, text=True, check=True
        )
        return ran.stdout

    def _send(self, kind: str, first: int, count: int) -> str:
        command = ("python", "-m", "bench.peers.send", self._peer.module, kind, str(first))
        return self.call(command, {"M10_BENCH_COUNT": str(count)})

    @contextmanager
    def _working(self, count: int) -> Iterator[None]:
        """Its workers run meanwhile; what they leave in Redis is gone afterwards."""
        variables = self._variables({"M10_BENCH_COUNT": str(count)})
        with tempfile.TemporaryFile() as log:
            workers = [
                subprocess.Popen(self._command(self._peer.command), cwd=ROOT, env=variables, stdout=log, stderr=log)
                for _ in range(self._peer.processes)
            ]
            try:
                yield
            finally:
                for each in workers:
                    each.terminate()
                for each in workers:
                    _ended(each)
        self._redis.flushdb()

    def _marks(self) -> dict[int, float]:
        """By number, when it came."""
        pairs = (mark.split() for mark in self._redis.lrange(MARKS, 0, -1))
        return {int(number): float(at) for number, at in pairs}

    def _command(self, command: tuple[str, ...]) -> list[str]:
        program, *arguments = (part.format_map(self._addresses) for part in command)
        return [self._environment.program(program), *arguments]

    def _variables(self, given: Mapping[str, str]) -> Mapping[str, str]:
        addresses = {f"M10_BENCH_{name.upper()}": address for name, address in self._addresses.items()}
        return self._environment.variables({**addresses, **given})


def _ended(worker: "subprocess.Popen[bytes]") -> None:
    try:
        worker.wait(15)
    except subprocess.TimeoutExpired:
        worker.kill()
        worker.wait()


def _until(is_done: Callable[[], bool], peer: Peer) -> None:
    deadline = time.monotonic() + WITHIN
    while not is_done():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not done within {WITHIN:g} s: {' '.join(peer.command)}")
        time.sleep(0.005)
