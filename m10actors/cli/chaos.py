"""`m10 chaos`: faults under load, on servers of its own, and the account of what came of it."""

from enum import StrEnum
from typing import Annotated

import typer

from m10actors.cli.errors import ExitCode, WrongUsage
from m10actors.testing import chaos as campaigns
from m10actors.testing.campaign import REDIS_FAULTS


class Substrate(StrEnum):
    """What is hurt: the process and both stores, or whatever Redis can do."""

    ALL = "all"
    REDIS = "redis"


def chaos(
    substrate: Annotated[
        Substrate, typer.Option("--substrate", help="all: kill -9 and store faults; redis: whatever Redis can do.")
    ] = Substrate.ALL,
    seed: Annotated[int, typer.Option("--seed", help="The same seed gives the same faults in the same order.")] = 1,
    count: Annotated[int, typer.Option("--count", min=1, help="Failures that are sent (all).")] = 5000,
    kills: Annotated[int, typer.Option("--kills", min=0, help="kill -9 of m10 run (all).")] = 20,
    faults: Annotated[int, typer.Option("--faults", min=1, help="How many faults (redis).")] = 200,
    only: Annotated[str | None, typer.Option("--only", metavar="FAULT", help="This fault alone (redis).")] = None,
) -> None:
    """Kills processes and starves them of their stores, in a seeded order under load, and prints the account as JSON:
    0 only if nothing was lost and nothing done twice. It starts servers of its own and touches nothing that runs.
    """
    if only is not None and (substrate is not Substrate.REDIS or only not in REDIS_FAULTS):
        raise WrongUsage(f"--only: with --substrate redis one of {', '.join(sorted(REDIS_FAULTS))}, got {only!r}")
    if substrate is Substrate.ALL:
        campaign = campaigns.everything(seed, count, kills)
    else:
        campaign = campaigns.whatever_redis_can_do(seed, faults, only)
    if not campaigns.play(campaign):
        raise typer.Exit(ExitCode.FOUND_WRONG)
