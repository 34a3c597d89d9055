"""What a campaign came to."""

import json
from dataclasses import asdict, dataclass
from math import ceil

from m10actors.testing import account
from m10actors.testing.campaign.feeder import Feeder
from m10actors.testing.campaign.stage import Stage


@dataclass(frozen=True, slots=True)
class Result:
    """The account. Everything but `ambiguous`, `received_twice` and the times (seconds) must be as it was sent.

    `resumed`: from the end of a fault until a failure that was taken then is evaluated; `slowest_after` names the fault
    after which that took longest. `ingest`: one call of the load.
    """

    seed: int
    faults: dict[str, int]
    sent: int
    ambiguous: int
    occurrences: int
    candidates: int
    evaluated: int
    published: int
    delivered: int
    dead: int
    evaluated_twice: int
    published_twice: int
    never_received: int
    phantoms: int
    changed_bodies: int
    received_twice: int
    resumed_p50: float
    resumed_max: float
    slowest_after: str
    ingest_p99: float
    ingest_max: float
    drain: float
    exit_code: int

    @property
    def sound(self) -> bool:
        return (
            self.occurrences == self.sent
            and self.evaluated == self.candidates > 0
            and self.delivered == self.published > 0
            and not (self.dead or self.evaluated_twice or self.published_twice)
            and not (self.never_received or self.phantoms or self.changed_bodies)
            and self.exit_code == 0
        )

    def __str__(self) -> str:
        return json.dumps(asdict(self) | {"sound": self.sound})


def of(
    stage: Stage, feeder: Feeder, *, seed: int, faults: list[str], resumed: list[float], drain: float, exit_code: int
) -> Result:
    """The account of a stage whose engines have ended. Each fault was followed by one failure beside the load."""
    stores, deliveries = account.stores(stage.ops), account.deliveries(stage.ops, stage.receiver.ledger)
    return Result(
        seed=seed,
        faults={name: faults.count(name) for name in sorted(set(faults))},
        sent=feeder.sent + len(resumed),
        ambiguous=feeder.ambiguous,
        occurrences=stores.occurrences,
        candidates=stores.candidates,
        evaluated=stores.evaluated,
        published=stores.published,
        delivered=stores.delivered,
        dead=stores.dead,
        evaluated_twice=stores.evaluated_twice,
        published_twice=stores.published_twice,
        never_received=len(deliveries.never_received),
        phantoms=len(deliveries.phantoms),
        changed_bodies=len(deliveries.changed),
        received_twice=len(deliveries.received_twice),
        resumed_p50=_quantile(resumed, 0.5),
        resumed_max=_quantile(resumed, 1.0),
        slowest_after=max(zip(resumed, faults, strict=True), default=(0.0, ""))[1],
        ingest_p99=_quantile(feeder.calls, 0.99),
        ingest_max=_quantile(feeder.calls, 1.0),
        drain=round(drain, 2),
        exit_code=exit_code,
    )


def _quantile(values: list[float], share: float) -> float:
    """The smallest value that `share` of them do not exceed; 0 for none."""
    return round(sorted(values)[max(0, ceil(share * len(values)) - 1)], 3) if values else 0.0
