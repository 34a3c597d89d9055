"""`python -m bench.outage`: what a deadline costs each statement, and how soon work goes on after an outage, with the
defaults of the configuration. Figures only, nothing is asserted.
"""

import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from bench.stage import NoPredecessors, Nothing, Stage
from m10actors import config
from m10actors.application.parts import Parts
from m10actors.application.tree import tree
from m10actors.application.weather import start_in_weather
from m10actors.instance import new_worker_id
from m10actors.postgres.deadlines import Operation, connect
from m10actors.postgres.errors import StoreError
from m10actors.recovery.failure import Failure
from m10actors.supervision import ChildState, Phase
from m10actors.supervisor import Tree
from m10actors.testing.proxy import FaultProxy
from m10actors.testing.waiting import eventually

STATEMENTS, ROUNDS, AWAY_SECONDS = 5_000, 5, 3.0


def _refuse(proxy: FaultProxy) -> None:
    proxy.refuse()
    proxy.cut()


FAULTS: dict[str, Callable[[FaultProxy], None]] = {"refused": _refuse, "swallowed": FaultProxy.dark}


@dataclass(frozen=True, slots=True)
class Outage:
    """A store, and the way in which it goes away."""

    store: str
    proxy: FaultProxy
    fault: Callable[[FaultProxy], None]


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, Stage(Path(folder)) as stage:
        _statements(stage)
        _outages(stage)


def _statements(stage: Stage) -> None:
    url = stage.postgres_url("m10_app")
    with psycopg.connect(url, autocommit=True, prepare_threshold=None) as plain, connect(url, seconds=2) as bounded:

        def with_deadline() -> None:
            with Operation("a statement", 35):
                bounded.execute("SELECT 1").fetchall()

        rounds = [
            (_micros(lambda: plain.execute("SELECT 1").fetchall()), _micros(with_deadline)) for _ in range(ROUNDS)
        ]
    bare, ours = (statistics.median(each) for each in zip(*rounds, strict=True))
    print(f"one statement: {bare:.1f} µs without a deadline, {ours:.1f} µs with one")


def _micros(step: Callable[[], object]) -> float:
    began = time.perf_counter()
    for _ in range(STATEMENTS):
        step()
    return (time.perf_counter() - began) / STATEMENTS * 1e6


def _outages(stage: Stage) -> None:
    with (
        FaultProxy(stage.addresses.socket_dir / ".s.PGSQL.5432") as postgres,
        FaultProxy(stage.addresses.valkey_socket) as valkey,
    ):
        parts = _parts(stage, postgres, valkey)
        parts.open()
        running = start_in_weather(tree(parts, Nothing.start, NoPredecessors()), parts, down=frozenset())
        for store, proxy in (("postgres", postgres), ("redis", valkey)):
            for what, fault in FAULTS.items():
                outage = Outage(store, proxy, fault)
                seconds = _resumes(stage.failures(1), parts, running, outage)
                print(f"{store} {what} for {AWAY_SECONDS:g} s: an evaluation {seconds:.2f} s after its return")
        running.stop(10)
        parts.close()


def _parts(stage: Stage, postgres: FaultProxy, valkey: FaultProxy) -> Parts:
    host, port = postgres.address  # type: ignore[misc]
    settings: dict[str, Any] = stage.settings() | {"redis.url": "redis://{}:{}/0".format(*valkey.address)}  # type: ignore[misc]
    for key, role in (("url", "m10_app"), ("ops_url", "m10_ops"), ("metrics_url", "m10_metrics")):
        settings[f"database.{key}"] = stage.postgres_url(role).partition("?")[0].replace("@/", f"@{host}:{port}/")
    return Parts.of(config.load(None, {}, settings).settings, new_worker_id())


def _resumes(failures: Sequence[Failure], parts: Parts, running: Tree, outage: Outage) -> float:
    """Seconds from the end of an outage to the evaluation of what is reported as soon as that is possible."""
    outage.fault(outage.proxy)
    eventually(lambda: _parked(running.snapshot(), outage.store), within=30)
    time.sleep(AWAY_SECONDS)
    outage.proxy.clean()
    returned = time.monotonic()
    [receipt] = eventually(lambda: _try(lambda: parts.ingest.accept(failures, "bench")), within=30)
    eventually(lambda: _try(lambda: _evaluated(parts, receipt.candidate_id)), within=30, every=0.002)
    seconds = time.monotonic() - returned
    eventually(lambda: not _parked(running.snapshot(), outage.store))
    return seconds


def _try(step: Callable[[], Any]) -> Any:
    with suppress(StoreError):
        return step()
    return None


def _evaluated(parts: Parts, candidate_id: int) -> bool:
    [row] = parts.app.rows("evaluation_inputs", {"ids": [candidate_id]})
    return bool(row[2] >= row[1])


def _parked(state: ChildState, store: str) -> bool:
    """Whether anybody stands still for want of the store."""
    return (state.phase is Phase.PARKED and store in state.parked_on) or any(
        _parked(child, store) for child in state.children
    )


if __name__ == "__main__":
    main()
