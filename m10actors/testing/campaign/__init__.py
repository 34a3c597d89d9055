"""A campaign: real processes under load, killed and starved of their stores at random moments; then the account.

`make chaos` runs it long, the acceptance tests run short, seeded slices. The schedule comes from the seed alone.
"""

from m10actors.testing.campaign.faults import FAULTS, REDIS_FAULTS, Fault
from m10actors.testing.campaign.feeder import Feeder, failures
from m10actors.testing.campaign.result import Result
from m10actors.testing.campaign.run import Campaign, run
from m10actors.testing.campaign.stage import Engine, Stage

__all__ = ["FAULTS", "REDIS_FAULTS", "Campaign", "Engine", "Fault", "Feeder", "Result", "Stage", "failures", "run"]
