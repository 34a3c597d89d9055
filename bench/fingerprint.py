"""`python -m bench.fingerprint [--data FOLDER] [--stored]`: how well the fingerprint groups labelled log lines.

For each data set: grouping accuracy (a line counts only if its whole group is exactly right) beside that of Drain, with
the settings that it ships and with those chosen for the set when its results were published; microseconds per message.
With --stored the lines go through the ingest into a PostgreSQL of its own, and the groups are its recovery_candidates.
"""

import argparse
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from bench.grouping import DataSet, accuracy, by_drain, by_drain_as_published, data_sets
from bench.stage import Stage
from m10actors.recovery.failure import parse
from m10actors.recovery.fingerprint import identity

DATA = Path(__file__).parents[2] / "shared" / "data" / "loghub"
ROUNDS = 5
BATCH = 500


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.fingerprint", description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA, help="folder of *_2k.log_structured.csv")
    parser.add_argument("--stored", action="store_true", help="fold them in PostgreSQL too")
    given = parser.parse_args()
    try:
        sets = data_sets(given.data)
    except FileNotFoundError as missing:
        parser.error(str(missing))
    print(_row("grouping accuracy", "ours", "Drain", "Drain, tuned", "groups", "events", "µs/message"))
    for data in sets:
        groups = [identity(line) for line in data.lines]
        figures = [
            f"{accuracy(each, data.events):.4f}" for each in (groups, by_drain(data), by_drain_as_published(data))
        ]
        print(_row(data.name, *figures, len(set(groups)), len(set(data.events)), f"{microseconds(data.lines):.1f}"))
    if given.stored:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the servers end too
        with tempfile.TemporaryDirectory(prefix="m10-") as folder, Stage(Path(folder)) as stage:
            print("\n" + _row("recovery_candidates", "accuracy", "rows", "events", "lines", "counted"))
            for data in sets:
                print(_stored(stage, data))


def microseconds(messages: Sequence[str]) -> float:
    """Of this process's CPU, per message; the best of some rounds, since whatever else runs here only adds to it."""
    best = float("inf")
    for _ in range(ROUNDS):
        started = time.process_time()
        for message in messages:
            identity(message)
        best = min(best, time.process_time() - started)
    return best / len(messages) * 1e6


def _stored(stage: Stage, data: DataSet) -> str:
    """What becomes of the lines, each reported as a failure of its own, in the table."""
    failures = [parse({"error_type": "LOGGED", "raw": line, "source": data.name}) for line in data.lines]
    groups: list[int] = []
    for at in range(0, len(failures), BATCH):
        groups += [receipt.candidate_id for receipt in stage.parts.ingest.accept(failures[at : at + BATCH], "bench")]
    [(rows, counted)] = stage.sql(
        "SELECT count(*), sum(occurrence_count)::bigint FROM public.recovery_candidates WHERE source = %s", data.name
    )
    return _row(data.name, f"{accuracy(groups, data.events):.4f}", rows, len(set(data.events)), len(failures), counted)


def _row(name: str, *cells: object) -> str:
    return f"{name:20}" + "".join(f"{cell!s:>14}" for cell in cells)


if __name__ == "__main__":
    main()
