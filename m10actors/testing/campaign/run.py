"""One campaign, from its schedule to its account."""

import random
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

from m10actors.testing import account
from m10actors.testing.campaign import result
from m10actors.testing.campaign.faults import ALL_FAULTS
from m10actors.testing.campaign.feeder import Feeder
from m10actors.testing.campaign.result import Result
from m10actors.testing.campaign.stage import Stage
from m10actors.testing.waiting import eventually

SETTLED_WITHIN = 90.0
RESUMED_WITHIN = 60.0


@dataclass(frozen=True, slots=True)
class Campaign:
    """`faults` (names) come in a seeded order at seeded moments. `most`: so many failures are sent, None: until the
    last fault is over. `pause` seconds lie between two batches. `pairs` is the share of faults that come together
    with the kill -9 of an engine.
    """

    seed: int
    faults: Sequence[str]
    most: int | None = None
    pause: float = 0.05
    pairs: float = 0.0
    engines: int = 1
    proxied: bool = False
    settings: Mapping[str, object] = field(default_factory=dict)


def run(folder: Path, campaign: Campaign) -> Result:
    """Faults under load, each followed by a look whether work goes on; then no more faults, and the account."""
    chance = random.Random(campaign.seed)
    order = chance.sample(campaign.faults, len(campaign.faults))
    waiting = threading.Event()
    with Stage(folder, campaign.settings, engines=campaign.engines, proxied=campaign.proxied) as stage:
        stage.start()
        feeder = Feeder(stage, campaign.most, campaign.pause)
        thread = feeder.start()
        resumed = []
        for name in order:
            waiting.wait(chance.uniform(0.05, 0.6))
            _break(stage, name, chance, with_a_kill=chance.random() < campaign.pairs)
            resumed.append(_resumes(stage, name))
        if campaign.most is None:
            feeder.finish()
        thread.join(300)
        assert feeder.done.is_set(), f"the feeder did not come through:\n{stage.log_tail()}"
        drain = _settles(stage)
        exit_code = stage.stop()
        return result.of(
            stage, feeder, seed=campaign.seed, faults=order, resumed=resumed, drain=drain, exit_code=exit_code
        )


def _break(stage: Stage, name: str, chance: random.Random, *, with_a_kill: bool) -> None:
    """The fault, healed again when this returns."""
    other = random.Random(chance.random())
    kill = threading.Thread(target=ALL_FAULTS["kill_process"], args=(stage, other), name="kill")
    if with_a_kill and name != "kill_process":
        kill.start()
    ALL_FAULTS[name](stage, chance)
    if kill.ident is not None:
        kill.join()


def _resumes(stage: Stage, after: str) -> float:
    """Sends one failure of its own kind; the seconds until it is evaluated."""
    match_id = str(uuid4())
    item: dict[str, object] = {
        "failure_match_id": match_id,
        "failure_payload": {"error_type": "TIMEOUT", "raw": f"after {after}"},
        "idempotency_key": str(uuid4()),
        "source": "campaign",
    }
    began = time.monotonic()

    def evaluated() -> bool:
        return account.is_candidate_evaluated(stage.ops, match_id)

    try:
        eventually(lambda: stage.post([item]), within=RESUMED_WITHIN)
        eventually(evaluated, within=RESUMED_WITHIN)
    except AssertionError as error:
        raise AssertionError(f"nothing is evaluated after {after}:\n{stage.log_tail()}") from error
    return time.monotonic() - began


def _settles(stage: Stage) -> float:
    began = time.monotonic()
    try:
        eventually(lambda: account.is_settled(stage.ops), within=SETTLED_WITHIN, every=0.1)
    except AssertionError as error:
        raise AssertionError(f"not settled: {account.stores(stage.ops)}\n{stage.log_tail()}") from error
    return time.monotonic() - began
