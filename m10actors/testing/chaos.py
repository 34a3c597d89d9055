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
    if given.substrate == "all":
        campaign = everything(given.seed, given.count, given.kills)
    else:
        campaign = whatever_redis_can_do(given.seed, given.faults, given.only)
    sys.exit(0 if play(campaign) else 1)


def everything(seed: int, count: int, kills: int) -> Campaign:
    """Kills of the one process, and two of each store fault, while `count` failures are sent."""
    faults = ["kill_process"] * kills + sorted(set(FAULTS) - {"kill_process"}) * 2
    return Campaign(seed, faults, most=count)


def whatever_redis_can_do(seed: int, faults: int, only: str | None) -> Campaign:
    """So many faults of Redis, or of `only` one kind, while failures are sent to three processes."""
    chosen = list(islice(cycle([only] if only else sorted(REDIS_FAULTS)), faults))
    return Campaign(seed, chosen, pairs=0.2, engines=3, proxied=True, settings=SOON)


def play(campaign: Campaign) -> bool:
    """Prints the account of a campaign as JSON; whether it is sound."""
    print(f"seed={campaign.seed} faults={len(campaign.faults)}", file=sys.stderr)  # noqa: T201
    with tempfile.TemporaryDirectory(prefix="m10-") as folder:
        result = run(Path(folder), campaign)
    print(result)  # noqa: T201
    return result.sound


if __name__ == "__main__":
    main()
