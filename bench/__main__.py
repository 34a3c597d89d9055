"""`python -m bench [W2 …] [--quick]`: prints the table and writes bench/results.json; with --peers, that of other
queues.

Figures only: nothing is asserted on a shared machine, and a ratio means more than a rate.
"""

import argparse
import json
import signal
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from bench.measure import Figure, Workload, measured
from bench.nginx import program
from bench.peers.compare import compare
from bench.stage import Stage
from bench.w1_noop import Noop
from bench.w2_effect import DurableEffect
from bench.w2_handler import Handler
from bench.w2_pooled import Pooled
from bench.w2_weather import Weather
from bench.w3_arrival import Arrival
from bench.w3_latency import Latency
from bench.w4_claims import Claims
from bench.w5_evaluations import Evaluations
from bench.w6_http import HttpIngest
from bench.w6_ingest import Ingest
from bench.w7_deliveries import Deliveries
from bench.w7_wire import Wire
from bench.w8_embedded import Embedded
from bench.w8_process import Process
from bench.w8_recovery import Recovery
from bench.w8_takeover import Takeover
from bench.w9_processes import Processes

WORKLOADS: tuple[tuple[str, type[Workload], tuple[str, ...]], ...] = (
    ("W1", Noop, ()),
    ("W2", DurableEffect, ()),
    ("W2", Handler, ()),
    ("W2", Weather, ()),
    ("W2", Pooled, ("pgbouncer",)),
    ("W3", Latency, ()),
    ("W3", Arrival, ()),
    ("W4", Claims, ()),
    ("W5", Evaluations, ()),
    ("W6", Ingest, ()),
    ("W6", HttpIngest, ()),
    ("W7", Deliveries, ()),
    ("W7", Wire, ("nginx", "wrk")),
    ("W8", Process, ()),
    ("W8", Embedded, ()),
    ("W8", Recovery, ()),
    ("W8", Takeover, ()),
    ("W9", Processes, ()),
)
"""Each with the system programs that it needs."""
HEAD = f"{'':<46}{'unit':<15}{'ours':>10}{'limit':>10}{'ratio':>7}   ours, limit: min to max"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=" ".join(sorted({name for name, *_ in WORKLOADS})))
    parser.add_argument("--quick", action="store_true", help="one run of a little work, to see that all of it runs")
    parser.add_argument("--runs", type=int, default=5, help="of each side, in turn (default 5)")
    parser.add_argument("--output", type=Path, help="default bench/results.json, or bench/peers.json")
    parser.add_argument("--peers", action="store_true", help="other queues instead, in an environment of their own")
    parser.add_argument("--peers-python", default=sys.executable, metavar="PATH", help="its interpreter")
    given = parser.parse_args()
    if unknown := set(given.names) - {name for name, *_ in WORKLOADS}:
        parser.error(f"no such workload: {', '.join(sorted(unknown))}")
    if given.peers and given.names:
        parser.error("--peers runs W1, W2 and W3 of each queue, and takes no names")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the servers end too
    runs, scale = (1, 0.01) if given.quick else (given.runs, 1.0)
    if given.peers:
        compare(given.peers_python, scale, given.output or Path("bench/peers.json"))
        return
    output = given.output or Path("bench/results.json")
    figures: list[Figure] = []
    print(HEAD, flush=True)
    with tempfile.TemporaryDirectory(prefix="m10-") as folder, Stage(Path(folder)) as stage:
        for name, workload, programs in WORKLOADS:
            if given.names and name not in given.names:
                continue
            if missing := [each for each in programs if program(each) is None]:
                print(f"{name} {workload.__name__}: not run, not installed: {', '.join(missing)}", file=sys.stderr)
                continue
            found = measured(workload(stage, scale), runs)
            print("\n".join(map(line, found)), flush=True)
            figures += found
            output.write_text(json.dumps([asdict(figure) for figure in figures], indent=2) + "\n")


def line(figure: Figure) -> str:
    """Medians, their ratio, and the least and most of both sides."""
    ours, limit = (f"{_short(min(side))} to {_short(max(side))}" for side in zip(*figure.runs, strict=True))
    medians = f"{_short(figure.ours):>10}{_short(figure.limit):>10}{figure.ratio:>7.2f}"
    return f"{figure.name:<46}{figure.unit:<15}{medians}   {ours}, {limit}"


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


if __name__ == "__main__":
    main()
