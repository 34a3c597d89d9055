"""`make chaos`: one campaign, its account as JSON on standard output, exit code 0 only if it is sound."""

import argparse
import sys
import tempfile
from pathlib import Path

from m10actors.testing.campaign import FAULTS, run


def main() -> None:
    """Faults in a seeded order: `--kills` of the process, `--others` of each kind of store fault."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=5000, help="failures sent")
    parser.add_argument("--kills", type=int, default=20, help="kill -9 of m10 run")
    parser.add_argument("--others", type=int, default=2, help="of each store fault: " + ", ".join(sorted(FAULTS)))
    given = parser.parse_args()
    faults = ["kill_process"] * given.kills + sorted(set(FAULTS) - {"kill_process"}) * given.others
    print(f"seed={given.seed} count={given.count} faults={len(faults)}", file=sys.stderr)  # noqa: T201
    with tempfile.TemporaryDirectory(prefix="m10-") as folder:
        result = run(Path(folder), seed=given.seed, count=given.count, faults=faults, pause=0.05)
    print(result)  # noqa: T201
    sys.exit(0 if result.sound else 1)


if __name__ == "__main__":
    main()
