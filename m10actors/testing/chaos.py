"""`make chaos`: one campaign, its account as JSON on standard output, exit code 0 only if it is sound."""

import argparse
import sys
import tempfile
from itertools import cycle, islice
from pathlib import Path

from m10actors.testing.campaign import FAULTS, REDIS_FAULTS, Campaign, run

SOON = {
    "intake.claim_idle": "2s",
    "intake.sweep_after": "2s",
    "intake.poll_interval": "2s",
    "outbox.lock_ttl": "4s",
    "outbox.renew_every": "1s",
}
"""Idle times in proportion to faults that last a second."""


def main() -> None:
    """Faults in a seeded order under load. `all`: kill -9 of the one process, and two of each store fault; `redis`:
    whatever Redis can do, to three processes, every fifth time together with kill -9 of one of them.
    """
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--substrate", choices=("all", "redis"), default="all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=5000, help="failures sent (all)")
    parser.add_argument("--kills", type=int, default=20, help="kill -9 of m10 run (all)")
    parser.add_argument("--faults", type=int, default=200, help="how many (redis)")
    parser.add_argument("--only", choices=sorted(REDIS_FAULTS), help="this fault alone (redis)")
    given = parser.parse_args()
    campaign = _everything(given) if given.substrate == "all" else _redis(given)
    print(f"substrate={given.substrate} seed={given.seed} faults={len(campaign.faults)}", file=sys.stderr)  # noqa: T201
    with tempfile.TemporaryDirectory(prefix="m10-") as folder:
        result = run(Path(folder), campaign)
    print(result)  # noqa: T201
    sys.exit(0 if result.sound else 1)


def _everything(given: argparse.Namespace) -> Campaign:
    faults = ["kill_process"] * given.kills + sorted(set(FAULTS) - {"kill_process"}) * 2
    return Campaign(given.seed, faults, most=given.count)


def _redis(given: argparse.Namespace) -> Campaign:
    faults = list(islice(cycle([given.only] if given.only else sorted(REDIS_FAULTS)), given.faults))
    return Campaign(given.seed, faults, pairs=0.2, engines=3, proxied=True, settings=SOON)


if __name__ == "__main__":
    main()
