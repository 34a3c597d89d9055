"""`python -m bench --peers`: installs other queues into an environment of their own and runs them on W1, W2 and W3, on
the servers and tables of the engine's own runs, its W2 in front of each. Prints a table and writes bench/peers.json.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.peers.environment import Environment, NotInstalled
from bench.peers.run import Measured, Peer, measured
from bench.stage import Stage
from bench.w1_noop import Noop
from bench.w2_effect import DurableEffect
from bench.w3_latency import Latency

PER_MESSAGE, SET_BASED = "a transaction a message", "a statement a batch"
PEERS = (
    Peer("FastStream", ("faststream[redis,cli]",), "with_faststream", SET_BASED, 20_000, 2,
         ("faststream", "run", "bench.peers.with_faststream:app")),
    Peer("Dramatiq", ("dramatiq[redis]",), "with_dramatiq", PER_MESSAGE, 2_000, 1,
         ("dramatiq", "bench.peers.with_dramatiq", "--processes", "2", "--threads", "4")),
    Peer("Celery", ("celery[redis]",), "with_celery", PER_MESSAGE, 2_000, 1,
         ("celery", "-A", "bench.peers.with_celery", "worker", "--concurrency", "2", "--without-gossip",
          "--without-mingle", "--without-heartbeat", "--loglevel", "ERROR")),
    Peer("taskiq", ("taskiq", "taskiq-redis"), "with_taskiq", PER_MESSAGE, 2_000, 1,
         ("taskiq", "worker", "bench.peers.with_taskiq:broker", "--workers", "2", "--max-async-tasks", "10",
          "--log-level", "ERROR")),
    Peer("arq", ("arq",), "with_arq", PER_MESSAGE, 2_000, 2, ("arq", "bench.peers.with_arq.WorkerSettings")),
    Peer("RQ", ("rq",), "with_rq", PER_MESSAGE, 800, 2,
         ("rq", "worker", "bench", "--url", "{redis}", "--worker-class", "rq.worker.SimpleWorker", "--quiet",
          "--disable-job-desc-logging")),
    Peer("Oban for Python", ("oban",), "with_oban", PER_MESSAGE, 2_000, 1,
         ("oban", "start", "--dsn", "{postgres}", "--queues", "bench:20", "--log-level", "ERROR"),
         ("oban", "install", "--dsn", "{postgres}")),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Line:
    """A peer, or the engine. Rates in messages a second, latencies in milliseconds. `ours`: the engine's W2 just before
    that of the peer.
    """

    name: str
    version: str
    handler: str
    w1: float
    w2: float
    ours: float
    w3_p50: float
    w3_p99: float


def compare(python: str, scale: float, output: Path) -> None:
    """`python`: the interpreter of the peers' environment; Oban wants 3.12 or newer."""
    with tempfile.TemporaryDirectory(prefix="m10-") as folder, Stage(Path(folder)) as stage:
        engine = DurableEffect(stage, scale)
        lines = [_engine(stage, scale, engine.engine())]
        environment = Environment.make(Path(folder) / "peers", python)
        for peer in PEERS:
            try:
                version = environment.install(peer.packages)
                ours = engine.engine()
                taken = measured(peer, environment, stage, scale, engine.written)
                lines.append(_line(peer, version, ours, taken))
            except (NotInstalled, subprocess.SubprocessError, TimeoutError) as error:
                print(f"{peer.name}: not run: {error}", file=sys.stderr)
                stage.forget()
    print("\n".join(table(lines)))
    output.write_text(json.dumps([asdict(line) for line in lines], indent=2) + "\n")


def table(lines: Sequence[Line]) -> list[str]:
    """The engine first; `ours` is its W2 to the peer's."""
    title = f"{'':<28}{'handler':<26}{'W1/s':>9}{'W2/s':>9}{'ours':>7}{'W3 p50 ms':>11}{'p99 ms':>9}"
    return [title] + [
        f"{f'{line.name} {line.version}':<28}{line.handler:<26}{line.w1:>9,.0f}{line.w2:>9,.0f}"
        f"{line.ours / line.w2:>7.2f}{line.w3_p50:>11.2f}{line.w3_p99:>9.2f}"
        for line in lines
    ]


def _engine(stage: Stage, scale: float, w2: float) -> Line:
    p50, p99 = Latency(stage, scale).ours()
    return Line("m10", "", "an evaluator a batch", Noop(stage, scale).ours()[0], w2, w2, p50, p99)


def _line(peer: Peer, version: str, ours: float, taken: Measured) -> Line:
    return Line(peer.name, version, peer.handler, taken.w1, taken.w2, ours, taken.w3_p50, taken.w3_p99)
