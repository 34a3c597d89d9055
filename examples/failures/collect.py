"""Makes things fail for real and writes what they said: `python collect.py sample.jsonl`.

Nothing is invented: every line is the error of a connection, a request, a program, a disk or a database that failed
in this run. It needs no network but loopback, takes well under a minute, and leaves nothing behind. What a machine does
not have (openssl, user namespaces, `m10actors[embedded]`) is left out, and that is said.
"""

import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import databases
import machine
import network
import programs
import web
from report import DidNotFailError, Report

from m10actors.embedded import EmbeddedError

LEAST = 300
PARTS: tuple[Callable[[Path], Iterator[Report]], ...] = (
    network.connections,
    network.names,
    network.certificates,
    web.calls,
    programs.bugs,
    programs.exits,
    machine.errors,
    machine.full_disk,
    databases.failures,
)


def main() -> int:
    """Writes the sample to the file named by the first argument and a count per kind to standard error."""
    if len(sys.argv) != 2:
        print("usage: python collect.py OUTPUT.jsonl", file=sys.stderr)
        return 2
    started = time.monotonic()
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as name, Path(sys.argv[1]).open("w", encoding="utf-8") as output:
        folder = Path(name).resolve()
        for part in PARTS:
            for report in _what_is_possible(part, folder):
                output.write(report.line(folder) + "\n")
                counts[report.kind] += 1
    for kind, count in counts.most_common():
        print(f"{count:5} {kind}", file=sys.stderr)
    print(f"{counts.total():5} failures in {time.monotonic() - started:.1f} s", file=sys.stderr)
    return 0 if counts.total() >= LEAST else 1


def _what_is_possible(part: Callable[[Path], Iterator[Report]], folder: Path) -> Iterator[Report]:
    """The failures of one part, up to what this machine cannot do."""
    try:
        yield from part(folder)
    except (FileNotFoundError, EmbeddedError, DidNotFailError) as reason:
        print(f"the rest of {part.__module__}.{part.__name__} is left out: {reason}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
